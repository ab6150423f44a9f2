package script

import (
	"strconv"
	"strings"
)

// CursorBefore compares the IDs of two entries of a Redis stream. It reports whether "a" is before "b". An empty ID is
// before every other ID.
func CursorBefore(a, b string) bool {
	am, as := CursorNumbers(a)
	bm, bs := CursorNumbers(b)
	return am < bm || am == bm && as < bs
}

// CursorNumbers returns the two numbers of the ID of a stream's entry, such as 1764323173000-0: a time in ms, and a
// number that counts the entries with that time. A part that is not a number is 0.
func CursorNumbers(id string) (ms, seq uint64) {
	first, second, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(first, 10, 64)
	seq, _ = strconv.ParseUint(second, 10, 64)
	return ms, seq
}
