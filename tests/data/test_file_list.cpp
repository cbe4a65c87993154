#include "runtime/data/file_list.h"

#include "tests/data/picture_files.h"

using namespace halcyon;
namespace fs = std::filesystem;
using Names = std::vector<std::string>;
using Labels = std::vector<std::uint16_t>;

namespace {

/// A folder with pictures/1.png, pictures/2.jpeg.png and pictures/3.png, and a list.
struct Listed {
    TemporaryFolder folder;
    DataRequest request = request_for(folder / "list.csv", 2);

    explicit Listed(const std::string &list) {
        write_bytes(folder / "list.csv", list);
        write_picture(folder / "pictures/1.png", 1);
        write_picture(folder / "pictures/2.png", 2);
        write_picture(folder / "pictures/3.PNG", 3);
    }

    Dataset load(Split split = Split::train) const { return ::load(request, split); }
    std::string refusal() const { return refusal_of(request); }
};

}  // namespace

TEST_CASE("A list names files and classes in any of the usual ways") {
    const std::string list = GENERATE(
        as<std::string>(), "file,label\npictures/1.png,dog\npictures/2.png,cat\npictures/3.PNG,dog\n",
        "label,more,Filename\r\ndog,,pictures/1.png\r\n cat ,,pictures/2.png\r\ndog,,\"pictures/3.PNG\"\r\n",
        "pictures/1.png,dog\npictures/2.png,cat\npictures/3.PNG,dog", "dog;pictures/1.png\ncat;pictures/2.png\ndog;pictures/3.PNG\n",
        "id,breed\npictures/1,dog\npictures/2,cat\npictures/3,dog\n", "dog,pictures/1\ncat,pictures/2\ndog,pictures/3\n",
        "width,height,class_id,path\n8,6,dog,pictures/1.png\n8,6,cat,pictures/2.png\n8,6,dog,pictures/3.PNG\n");
    CAPTURE(list);
    const Listed listed(list);
    CHECK(open_source(listed.request)->description() == "list of pictures, 2 classes");
    const Dataset data = listed.load();
    CHECK(data.class_names == Names{"cat", "dog"});
    CHECK(data.labels == Labels{1, 0, 1});
    CHECK(data.names == Names{"pictures/1.png", "pictures/2.png", "pictures/3.PNG"});
    CHECK(reds(data) == std::vector<int>{1, 2, 3});
}

TEST_CASE("Whole numbers are the classes' own") {
    Listed listed("file,label\npictures/1.png,2\npictures/2.png,0\npictures/3.PNG,10\n");
    listed.request.classes = 11;
    const Dataset data = listed.load();
    CHECK(data.labels == Labels{2, 0, 10});
    CHECK(data.class_names == Names{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"});

    listed.request.classes = 13;  // of which the list lacks the last ones
    CHECK(listed.load().class_names.back() == "12");
    listed.request.classes = 10;
    CHECK(one_line_with(listed.refusal(), {"11 classes", "the model has 10"}));
}

TEST_CASE("Files are relative to the folder of --images, where it is given") {
    Listed listed("image_id,category\n1,a\n2,b\n");
    listed.request.images = listed.folder / "pictures";
    CHECK(listed.load().names == Names{"1.png", "2.png"});
    listed.request.images = listed.folder / "none";
    CHECK(one_line_with(listed.refusal(), {listed.folder / "none", "no such folder", "--images"}));
    listed.request.path = listed.folder / "classes";
    write_picture(listed.folder / "classes/a/1.png", 1);
    CHECK(one_line_with(listed.refusal(), {listed.folder / "classes", "--images is for lists"}));
}

TEST_CASE("A list can be named without its folder, and its cache is the same") {
    Listed listed("file,label\npictures/1.png,a\npictures/2.png,b\npictures/none.png,b\n");
    listed.request.cache = listed.folder / "cache";
    listed.request.skip_bad_files = true;
    CHECK(reds(listed.load()) == std::vector<int>{1, 2});

    const WorkingFolder inside(listed.folder.path());
    listed.request.path = "list.csv";
    listed.request.cache = "cache";
    CHECK(reds(listed.load()) == std::vector<int>{1, 2});
    CHECK(std::distance(fs::directory_iterator("cache"), {}) == 1);
    listed.request.skip_bad_files = false;
    CHECK(one_line_with(listed.refusal(), {"list.csv: 1 of 3 pictures cannot be read"}));
}

TEST_CASE("A column of a list may part it into splits") {
    const Listed listed("file,label,split\npictures/1.png,a,train\npictures/2.png,b,Valid\npictures/3.PNG,a,test\n");
    CHECK(open_source(listed.request)->description() == "list of pictures, 2 classes, with a validation split, with a test split");
    CHECK(listed.load().names == Names{"pictures/1.png"});
    CHECK(listed.load(Split::validation).labels == Labels{1});
    CHECK(listed.load(Split::test).names == Names{"pictures/3.PNG"});
}

TEST_CASE("Lists that cannot be used are refused in one line") {
    const auto refused = [](const std::string &list, const std::vector<std::string> &texts, const std::string &format = "list") {
        Listed listed(list);
        listed.request.format = format;
        CAPTURE(list, listed.refusal());
        CHECK(one_line_with(listed.refusal(), texts));
        CHECK(one_line_with(listed.refusal(), {listed.request.path.string()}));
    };
    refused("", {"is an empty file"});
    refused("\n", {"is empty", "a row a picture"});
    refused("file,label\n", {"no picture to train on"});
    refused("a,b\n1,2\n", {"line 1", "no column of pictures' files", "--images"});
    refused("file,one,two\npictures/1.png,1,0\n", {"line 1", "which of 3 columns has the labels"});
    refused("pictures/1.png\n", {"line 1", "which of 1 columns"});
    refused("file,label\npictures/1.png,a\npictures/2.png\n", {"line 3", "1 fields", "the label is missing"});
    refused("file,label\npictures/1.png,\"\"\n", {"line 2", "the label is empty"});
    refused("file,label\n,a\n", {"line 2", "the file is empty"});
    refused("file,label\npictures/1.png,\xff\n", {"line 2", "\\xff", "UTF-8"});
    refused("file,label\npictures/1.png,65536\n", {"label 65536 is too large", "65535"});
    refused("file,label,split\npictures/1.png,a,dev\n", {"line 2", "\"dev\"", "train, val and test"});
    refused("file,label\npictures/1.png,a\npictures/2.png,b\npictures/3.PNG,c\n", {"3 classes (a, b, c)", "the model has 2"});
    refused("file,label\npictures/1.png,a\npictures/none.png,b\n", {"1 of 2 pictures cannot be read"});
    refused("x,y\n1,2\n", {"no images are recognised", "list (a .csv file"}, "");
}

TEST_CASE("A file that is listed but not there is a bad file") {
    Listed listed("id,label\npictures/1,a\npictures/none,b\npictures/2,b\n");
    listed.request.skip_bad_files = true;
    const auto source = open_source(listed.request);
    CHECK(source->load(Split::train, no_progress).names == Names{"pictures/1.png", "pictures/2.png"});
    REQUIRE(source->bad_files().size() == 1);
    CHECK(source->bad_files()[0].path == listed.folder / "pictures/none");
    CHECK(source->bad_files()[0].reason == "cannot be read: No such file or directory");
}

TEST_CASE("A list has a column for each target where the model takes such") {
    struct Targets : Listed {
        Targets(const std::string &list, int targets, bool labels) : Listed(list) {
            request.classes = 0, request.targets = targets, request.unit_labels = labels;
        }
    };
    const Targets rooms("indoors,file, people ,split\n1,pictures/1.png,0,train\n0,pictures/2.png,0.5,val\n0,pictures/3.PNG,1,train\n", 2,
                        true);
    CHECK(open_source(rooms.request)->description() == "list of pictures, 2 targets, with a validation split");
    const Dataset train = rooms.load();
    CHECK((train.size() == 2 && train.units == 2 && train.classes == 0 && train.labels.empty()));
    CHECK(train.class_names == Names{"indoors", "people"});
    CHECK(train.targets == std::vector<float>{1, 0, 0, 1});
    CHECK(rooms.load(Split::validation).targets == std::vector<float>{0, 0.5F});

    Targets cached("file,a\npictures/1.png,1\npictures/2.png,2\npictures/9.png,3\n", 1, false);
    cached.request.cache = cached.folder / "cache";
    cached.request.skip_bad_files = true;
    for (int i = 0; i < 2; ++i) CHECK(cached.load().targets == std::vector<float>{1, 2});
    write_bytes(cached.folder / "list.csv", "file,a\npictures/1.png,1\npictures/2.png,-7\n");
    CHECK(cached.load().targets == std::vector<float>{1, -7});

    CHECK(one_line_with(Targets("file,a\npictures/1.png,1\n", 2, true).refusal(),
                        {"line 1: 1 columns beside the files, but the model takes 2"}));
    CHECK(one_line_with(Targets("pictures/1.png,1\n", 1, true).refusal(), {"line 1: a list with targets names its columns"}));
    CHECK(one_line_with(Targets("file,a\npictures/1.png,2\n", 1, true).refusal(), {"line 2: the target \"2\" is no label from 0 to 1"}));
    CHECK(one_line_with(Targets("file,a\npictures/1.png,x\n", 1, false).refusal(), {"line 2: the target \"x\" is no number"}));
}

TEST_CASE("A list has a column for each class, or one for labels, where the model takes shares of classes") {
    struct Shared : Listed {
        Shared(const std::string &list, int classes) : Listed(list) {
            request.classes = request.targets = classes, request.class_shares = true;
        }
    };
    Shared soft("cat,file,dog,split\n0.25,pictures/1.png,0.75,train\n1,pictures/2.png,0,train\n0.5,pictures/3.PNG,0.5,test\n", 2);
    CHECK(open_source(soft.request)->description() == "list of pictures, 2 classes, with a test split");
    soft.request.cache = soft.folder / "cache";
    for (int i = 0; i < 2; ++i) {
        const Dataset train = soft.load();
        CHECK((train.classes == 2 && train.units == 2 && train.size() == 2));
        CHECK(train.class_names == Names{"cat", "dog"});
        CHECK(train.labels == Labels{1, 0});
        CHECK(train.targets == std::vector<float>{0.25F, 0.75F, 1, 0});
        check_fits(train, soft.request, "here");
    }
    for (const char *list :
         {"file,breed\npictures/1.png,dog\npictures/2.png,cat\n", "file,label,notes\npictures/1.png,dog,\npictures/2.png,cat,old\n"}) {
        const Dataset labels = Shared(list, 2).load();
        CHECK((labels.labels == Labels{1, 0} && labels.units == 0 && labels.targets.empty()));
    }
    const auto refused = [&](const std::string &list, int classes, const std::string &text) {
        CHECK(one_line_with(Shared(list, classes).refusal(), {text}));
    };
    refused("file,cat,dog\npictures/1.png,1,0\n", 3,
            "line 1: 2 columns beside the files, but the model takes 3 targets; call the column of labels \"label\"");
    refused("file,cat,dog\npictures/1.png,1,2\n", 2, "line 2: the target \"2\" is no label from 0 to 1");
    refused("file,label\npictures/1.png,cat\n", 2, "1 classes (cat), but the model has 2");
}
