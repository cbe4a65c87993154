// WebP, by libwebp. Of an animation the first frame is taken, as by Pillow.
#include "runtime/data/picture_decoders.h"
#include "runtime/data/picture_exif.h"

#include <algorithm>
#include <memory>
#include <new>
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
        if (!WebPInitDecoderConfig(&config_) || !WebPDemuxGetFrame(demuxer, 1, &frame_)) throw_damaged(format);
    }
    Frame(const Frame &) = delete;
    Frame &operator=(const Frame &) = delete;
    ~Frame() {
        WebPFreeDecBuffer(&config_.output);
        WebPDemuxReleaseIterator(&frame_);
    }

    /// Into memory of the library, which is not touched before its pixels are there: a few bytes can claim a large picture.
    void decode(int channels) {
        config_.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
        const VP8StatusCode status = WebPDecode(frame_.fragment.bytes, frame_.fragment.size, &config_);
        if (status == VP8_STATUS_OUT_OF_MEMORY) throw std::bad_alloc();
        if (status != VP8_STATUS_OK) throw_damaged(format);
    }

    void copy_to(DecodedPicture &canvas) const {
        const int w = config_.output.width, h = config_.output.height, left = frame_.x_offset, top = frame_.y_offset;
        if (left < 0 || top < 0 || w > canvas.w - left || h > canvas.h - top) throw_damaged(format);
        const WebPRGBABuffer &pixels = config_.output.u.RGBA;
        const auto c = std::size_t(canvas.channels);
        for (std::size_t y = 0; y < std::size_t(h); y++)
            std::copy_n(pixels.rgba + y * std::size_t(pixels.stride), std::size_t(w) * c,
                        &canvas.pixels[((std::size_t(top) + y) * std::size_t(canvas.w) + std::size_t(left)) * c]);
    }

private:
    WebPIterator frame_{};
    WebPDecoderConfig config_{};
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
    const std::uint32_t h = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT), w = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH);
    const int channels = WebPDemuxGetI(demuxer.get(), WEBP_FF_FORMAT_FLAGS) & ALPHA_FLAG ? 4 : 3;
    check_size(h, w);
    Frame frame(demuxer.get());
    frame.decode(channels);
    DecodedPicture picture = new_picture(h, w, channels);
    frame.copy_to(picture);
    picture.orientation = orientation_of(demuxer.get());
    return picture;
}

}  // namespace halcyon
