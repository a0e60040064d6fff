#include "wire/executor_channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "wire/tensor_layout.h"

namespace stagger::wire {
namespace {

std::vector<ExecutorMessage> Samples() {
  Open open;
  open.model = HashOf(std::as_bytes(std::span("abc", 3)));
  open.options = "optimize=1\n";
  open.runtime = "/lib/libonnxruntime.so.1";
  open.runtime_device = 7;
  open.runtime_inode = 8;
  open.name = "gate-1";
  return {open,
          WantModel{},
          Opened{4096, 8192, 4096, true},
          Reserve{1 << 20},
          Reserved{0},
          Infer{5, std::chrono::milliseconds{40}},
          Inferred{5, true, std::chrono::milliseconds{60}},
          StatusRequest{},
          StatusReply{"{}"},
          Refused{"no"}};
}

TEST(ExecutorCodec, EveryMessageComesBackAndNoOtherLengthDoes) {
  for (const ExecutorMessage& message : Samples()) {
    std::vector<std::byte> packet = EncodeForExecutor(message);
    ASSERT_FALSE(packet.empty()) << message.index();
    EXPECT_EQ(DecodeForExecutor(packet), message);
    for (std::size_t size = 0; size < packet.size(); ++size) {
      EXPECT_FALSE(DecodeForExecutor(std::span(packet).first(size)));
    }
    packet.push_back(std::byte{0});
    EXPECT_FALSE(DecodeForExecutor(packet));
  }
}

TEST(ExecutorCodec, RefusesWhatIsOutOfBounds) {
  EXPECT_TRUE(EncodeForExecutor(Reserve{kMaxArena + 1}).empty());
  EXPECT_TRUE(EncodeForExecutor(Infer{1, Duration{-1}}).empty());
  Open open;
  open.options.assign(kMaxSessionOptions + 1, 'x');
  EXPECT_TRUE(EncodeForExecutor(open).empty());
  open.options.clear();
  open.version = kExecutorVersion + 1;
  EXPECT_TRUE(EncodeForExecutor(open).empty());
}

class ExecutorChannel : public testing::Test {
 protected:
  ExecutorChannel() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours_.Reset(ends[0]);
    theirs_.Reset(ends[1]);
  }
  static int OpenFiles() {
    int count = 0;
    for (int fd = 0; fd < 256; ++fd) count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
  }
  UniqueFd ours_;
  UniqueFd theirs_;
};

TEST_F(ExecutorChannel, DescriptorsComeAlong) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const int sent[] = {write_end.get()};
  ASSERT_EQ(Send(ours_.get(), ExecutorMessage{WantModel{}}, sent), Io::kOk);
  ExecutorMessage message;
  Descriptors received;
  ASSERT_EQ(Receive(theirs_.get(), &message, &received), Io::kOk);
  ASSERT_TRUE(received[0].valid());
  EXPECT_FALSE(received[1].valid());
  ASSERT_EQ(write(received[0].get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(read(read_end.get(), &byte, 1), 1);
}

TEST_F(ExecutorChannel, TooManyDescriptorsAreRefusedAndNoneStays) {
  const std::vector<std::byte> packet = EncodeForExecutor(WantModel{});
  std::vector<int> many(kMaxDescriptors + 1, ours_.get());
  std::vector<char> control(CMSG_SPACE(many.size() * sizeof(int)));
  iovec part{.iov_base = const_cast<std::byte*>(packet.data()), .iov_len = packet.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(many.size() * sizeof(int));
  std::memcpy(CMSG_DATA(rights), many.data(), many.size() * sizeof(int));
  ASSERT_GT(sendmsg(ours_.get(), &header, 0), 0);
  const int before = OpenFiles();
  {
    ExecutorMessage message;
    Descriptors received;
    EXPECT_EQ(Receive(theirs_.get(), &message, &received), Io::kMalformed);
  }
  EXPECT_EQ(OpenFiles(), before);
}

TEST(TensorLayout, ChecksEveryBound) {
  Layout layout;
  layout.count = 1;
  layout.tensors[0] = {.index = 0, .type = 1, .rank = 2, .dims = {2, 3}};
  layout.tensors[0].offset = kLayoutBytes;
  layout.tensors[0].bytes = 24;
  EXPECT_TRUE(IsSound(layout, kLayoutBytes + 24));
  EXPECT_FALSE(IsSound(layout, kLayoutBytes + 23)) << "beyond the end";
  Layout other = layout;
  other.tensors[0].bytes = 20;
  EXPECT_FALSE(IsSound(other, 1 << 20)) << "fewer bytes than elements";
  other = layout;
  other.tensors[0].offset += 4;
  EXPECT_FALSE(IsSound(other, 1 << 20)) << "not aligned";
  other = layout;
  other.tensors[0].offset = 0;
  EXPECT_FALSE(IsSound(other, 1 << 20)) << "over the layout itself";
  other = layout;
  other.tensors[0].dims = {std::int64_t{1} << 62, 16};
  EXPECT_FALSE(IsSound(other, 1 << 20)) << "more than can be counted";
  other = layout;
  other.tensors[0].type = 8;
  EXPECT_FALSE(IsSound(other, 1 << 20)) << "strings";
  other = layout;
  other.tensors[0].rank = kMaxRank + 1;
  EXPECT_FALSE(IsSound(other, 1 << 20));
  other = layout;
  other.count = kMaxTensors + 1;
  EXPECT_FALSE(IsSound(other, 1 << 20));
}

TEST(Sha256, OfKnownTexts) {
  const auto hash = [](const std::string& text) {
    return ToHex(HashOf(std::as_bytes(std::span(text))));
  };
  EXPECT_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace stagger::wire
