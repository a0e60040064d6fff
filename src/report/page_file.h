// The writer's side of a page: makes the file, maps it, and gives a forked child one of its own.
// Compiled into the agents, under their rules: nothing here exits, throws or prints.
#pragma once

#include <cstddef>

#include "report/page.h"

namespace stagger::report {

// A new page of `size` bytes in the folder that $STAGGER_REPORT names, its head filled. Null: the
// variable is not set, or the file cannot be made.
void* MakePage(const char* suffix, std::size_t size);

// In a forked child: a page of its own in the place of its parent's. `page` stays valid: where no
// file can be made what is written goes nowhere.
void RenewPage(void* page, const char* suffix, std::size_t size);

// Puts down which libraries that matter are mapped now.
void NoteLibraries(Head* head);

}  // namespace stagger::report
