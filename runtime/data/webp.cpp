// WebP, by libwebp. Of an animation the first frame is taken, as by Pillow.
#include "runtime/data/picture_decoders.h"
#include "runtime/data/picture_exif.h"

#include <memory>
#include <webp/decode.h>
#include <webp/demux.h>

namespace halcyon {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view format = "WebP";

const std::uint8_t *data_of(Bytes bytes) { return reinterpret_cast<const std::uint8_t *>(bytes.data()); }

struct DeleteDemuxer {
    void operator()(WebPDemuxer *demuxer) const { WebPDemuxDelete(demuxer); }
};
using Demuxer = std::unique_ptr<WebPDemuxer, DeleteDemuxer>;

Demuxer open(Bytes file) {
    const WebPData data = {data_of(file), file.size()};
    WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
    Demuxer demuxer(WebPDemuxPartial(&data, &state));
    if (state == WEBP_DEMUX_PARSING_HEADER || state == WEBP_DEMUX_PARSED_HEADER) throw_truncated(format);
    if (state != WEBP_DEMUX_DONE || !demuxer) throw_damaged(format);
    return demuxer;
}

/// The first frame. It lies somewhere on the canvas, and on all of it where the picture stands still.
class Frame {
public:
    explicit Frame(const WebPDemuxer *demuxer) {
        if (!WebPDemuxGetFrame(demuxer, 1, &frame_)) throw_damaged(format);
    }
    Frame(const Frame &) = delete;
    Frame &operator=(const Frame &) = delete;
    ~Frame() { WebPDemuxReleaseIterator(&frame_); }

    void decode_onto(DecodedPicture &canvas) const {
        const bool inside = frame_.x_offset >= 0 && frame_.y_offset >= 0 && frame_.width <= canvas.w - frame_.x_offset &&
                            frame_.height <= canvas.h - frame_.y_offset;
        if (!inside) throw_damaged(format);
        const std::size_t row_bytes = std::size_t(canvas.w) * std::size_t(canvas.channels);
        const std::size_t first = std::size_t(frame_.y_offset) * row_bytes + std::size_t(frame_.x_offset) * std::size_t(canvas.channels);
        const auto decode = canvas.channels == 4 ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
        if (!decode(frame_.fragment.bytes, frame_.fragment.size, &canvas.pixels[first], canvas.pixels.size() - first, int(row_bytes)))
            throw_damaged(format);
    }

private:
    WebPIterator frame_{};
};

int orientation_of(const WebPDemuxer *demuxer) {
    WebPChunkIterator chunk{};
    int orientation = 1;
    if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk))
        orientation = exif_orientation(std::as_bytes(std::span(chunk.chunk.bytes, chunk.chunk.size)));
    WebPDemuxReleaseChunkIterator(&chunk);
    return orientation;
}

}  // namespace

DecodedPicture decode_webp(Bytes file) {
    const Demuxer demuxer = open(file);
    const bool has_alpha = WebPDemuxGetI(demuxer.get(), WEBP_FF_FORMAT_FLAGS) & ALPHA_FLAG;
    DecodedPicture picture = new_picture(WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT),
                                         WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH), has_alpha ? 4 : 3);
    Frame(demuxer.get()).decode_onto(picture);
    picture.orientation = orientation_of(demuxer.get());
    return picture;
}

}  // namespace halcyon
