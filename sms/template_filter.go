package sms

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// filter changes the value of a merge field.
type filter struct {
	name string
	n    int // of max
}

const filterList = "upper, lower, title, first, trim and max:20"

// parseFilters reads what stands behind the first colon: "first:max:20".
func parseFilters(s string) (out []filter, err error) {
	words := strings.Split(s, ":")
	for i := 0; i < len(words); i++ {
		f := filter{name: strings.ToLower(strings.TrimSpace(words[i]))}
		switch f.name {
		case "upper", "lower", "title", "first", "trim":
		case "max":
			ok := false
			if i++; i < len(words) {
				f.n, ok = parseMaxLength(words[i])
			}
			if !ok {
				return nil, fmt.Errorf("max needs a number of characters, as in {{name:max:20}}")
			}
		case "":
			return nil, fmt.Errorf("a filter is missing behind the colon; there are %s", filterList)
		default:
			return nil, fmt.Errorf("there is no filter %.20q; there are %s", f.name, filterList)
		}
		out = append(out, f)
	}
	return out, nil
}

// looksLikeFilter says whether a default is more probably the filter of another
// program's templates: {{name|upper}}, {{name|default:"there"}}.
func looksLikeFilter(fallback string) bool {
	word, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(fallback)), ":")
	switch strings.TrimSpace(word) {
	case "upper", "lower", "title", "first", "trim":
		return true
	case "default", "max":
		return strings.Contains(fallback, ":")
	}
	return false
}

// apply filters dst[from:], which begins and ends with something that can be seen.
func (f filter) apply(dst []byte, from int) []byte {
	switch f.name {
	case "upper":
		return mapTail(dst, from, func(r, _ rune) rune { return unicode.ToUpper(r) })
	case "lower":
		return mapTail(dst, from, func(r, _ rune) rune { return unicode.ToLower(r) })
	case "title":
		return mapTail(dst, from, titleRune)
	case "first":
		if end := bytes.IndexFunc(dst[from:], unicode.IsSpace); end >= 0 {
			dst = dst[:from+end]
		}
	case "trim":
		return squeezeTail(dst, from)
	case "max":
		return cutTail(dst, from, f.n)
	}
	return dst
}

// titleRune begins words with a capital. An apostrophe is within a word, for
// Ng'ang'a; a dash is not, for Mary-Ann.
func titleRune(r, before rune) rune {
	if before == 0 || unicode.IsSpace(before) || unicode.Is(unicode.Pd, before) {
		return unicode.ToTitle(r)
	}
	return unicode.ToLower(r)
}

// mapTail replaces each rune of dst[from:]; change is told the one before it, 0 at
// the first. It needs room behind dst while it works, because a letter may
// become longer.
func mapTail(dst []byte, from int, change func(r, before rune) rune) []byte {
	end := len(dst)
	before := rune(0)
	for i := from; i < end; {
		r, size := utf8.DecodeRune(dst[i:end])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, dst[i])
		} else {
			dst = utf8.AppendRune(dst, change(r, before))
		}
		before = r
		i += size
	}
	n := copy(dst[from:], dst[end:])
	return dst[:from+n]
}

// squeezeTail makes one space of all white space between words, line breaks included.
func squeezeTail(dst []byte, from int) []byte {
	out := from
	for i := from; i < len(dst); {
		r, size := utf8.DecodeRune(dst[i:])
		if !unicode.IsSpace(r) {
			out += copy(dst[out:], dst[i:i+size])
		} else if out > from && dst[out-1] != ' ' {
			dst[out] = ' '
			out++
		}
		i += size
	}
	return dst[:out]
}

// cutTail leaves the first n characters, and takes the last one off as a whole
// if only a part of it fits: a letter with its accents, an emoji with its colour.
// Where nothing would be left, it is cut all the same.
func cutTail(dst []byte, from, n int) []byte {
	end := from
	for ; n > 0 && end < len(dst); n-- {
		_, size := utf8.DecodeRune(dst[end:])
		end += size
	}
	all := end
	for end > from && end < len(dst) {
		next, _ := utf8.DecodeRune(dst[end:])
		last, size := utf8.DecodeLastRune(dst[from:end])
		if !extendsCharacter(next) && last != zeroWidthJoiner {
			break
		}
		end -= size
	}
	if end == from {
		end = all
	}
	return dst[:from+len(bytes.TrimRightFunc(dst[from:end], isBlankRune))]
}

const zeroWidthJoiner = '\u200d'

// joins reports whether a rune belongs to the character before it.
func extendsCharacter(r rune) bool {
	return unicode.Is(unicode.M, r) || r == zeroWidthJoiner || r >= '\U0001F3FB' && r <= '\U0001F3FF'
}
