#include "agent/sessions.h"

#include <utility>

namespace stagger::agent {

OptionFacts Sessions::FactsOf(const void* options) {
  MutexLock lock(&mutex_);
  const auto found = options_.find(options);
  return found == options_.end() ? OptionFacts{} : found->second;
}

void Sessions::CopyFacts(const void* from, const void* to) {
  MutexLock lock(&mutex_);
  const auto found = options_.find(from);
  if (found != options_.end()) {
    const OptionFacts facts = found->second;
    options_[to] = facts;
  }
}

void Sessions::ForgetOptions(const void* options) {
  MutexLock lock(&mutex_);
  options_.erase(options);
}

void Sessions::Add(const void* session, std::shared_ptr<Session> record) {
  MutexLock lock(&mutex_);
  std::swap(sessions_[session], record);  // one that was there goes outside the lock
}

std::shared_ptr<Session> Sessions::Find(const void* session, unsigned warmup) {
  MutexLock lock(&mutex_);
  std::shared_ptr<Session>& record = sessions_[session];
  if (!record) {
    record = std::make_shared<Session>();
    record->warmup_left = warmup;
  }
  return record;
}

std::shared_ptr<Session> Sessions::Take(const void* session) {
  MutexLock lock(&mutex_);
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return nullptr;
  std::shared_ptr<Session> record = std::move(found->second);
  sessions_.erase(found);
  return record;
}

}  // namespace stagger::agent
