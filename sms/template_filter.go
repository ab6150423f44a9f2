package sms

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// filter changes the value of a merge field.
type filter struct {
	name   string
	n      int    // in max:N the maximum number of characters, and in number:N the number of decimals
	layout string // the layout of the filter "date", as in package time
}

const filterList = "upper, lower, title, first, trim, max:20, number and date"

// parseFilters parses the part of a merge field after its first colon: "first:max:20".
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
				return nil, fmt.Errorf("max needs a number of characters, e.g. {{name:max:20}}")
			}
		case "number":
			f.n = keepDecimals
			if i+1 < len(words) {
				if n, err := strconv.Atoi(strings.TrimSpace(words[i+1])); err == nil {
					if i++; n < 0 || n > maxDecimals {
						return nil, fmt.Errorf("number takes 0 to %d decimals, e.g. {{amount:number:2}}", maxDecimals)
					}
					f.n = n
				}
			}
		case "date":
			f.layout = dateForms[0].layout
			for _, form := range dateForms[1:] {
				if i+1 < len(words) && strings.EqualFold(strings.TrimSpace(words[i+1]), form.name) {
					f.layout = form.layout
					i++
					break
				}
			}
		case "":
			return nil, fmt.Errorf("the filter after the colon is missing; it must be one of %s", filterList)
		default:
			return nil, fmt.Errorf("unknown filter %.20q; it must be one of %s", f.name, filterList)
		}
		out = append(out, f)
	}
	return out, nil
}

// looksLikeFilter reports whether the writer of a default probably meant a filter. Other
// template languages write filters after a bar: {{name|upper}}, {{name|default:"there"}}.
func looksLikeFilter(fallback string) bool {
	word, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(fallback)), ":")
	switch strings.TrimSpace(word) {
	case "upper", "lower", "title", "first", "trim", "number", "date":
		return true
	case "default", "max":
		return strings.Contains(fallback, ":")
	}
	return false
}

// The method "apply" applies the filter to dst[from:] and returns the changed slice. dst[from:]
// must not begin or end with blank or invisible characters.
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
	case "number":
		return formatNumber(dst, from, f.n)
	case "date":
		return formatDate(dst, from, f.layout)
	}
	return dst
}

// titleRune returns r as a capital letter at the beginning of a word, and as a lower-case letter
// elsewhere. The parameter "previous" is the preceding rune, or 0 at the start. A word continues
// after an apostrophe (Ng'ang'a), but not after a dash (Mary-Ann).
func titleRune(r, previous rune) rune {
	if previous == 0 || unicode.IsSpace(previous) || unicode.Is(unicode.Pd, previous) {
		return unicode.ToTitle(r)
	}
	return unicode.ToLower(r)
}

// mapTail replaces each rune r of dst[from:] by the result of change(r, previous). The
// argument "previous" is the preceding rune, or 0 for the first rune. mapTail uses the free
// capacity after dst as a buffer, because a changed letter may need more bytes.
func mapTail(dst []byte, from int, change func(r, previous rune) rune) []byte {
	end := len(dst)
	previous := rune(0)
	for i := from; i < end; {
		r, size := utf8.DecodeRune(dst[i:end])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, dst[i])
		} else {
			dst = utf8.AppendRune(dst, change(r, previous))
		}
		previous = r
		i += size
	}
	n := copy(dst[from:], dst[end:])
	return dst[:from+n]
}

// squeezeTail replaces each run of white space in dst[from:], including line breaks, by
// one space.
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

// cutTail cuts dst[from:] to its first n runes. If the cut would split a visible
// character (a letter and its accent, an emoji and its skin colour), it removes the
// whole character. If no character would remain, it splits the character instead.
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

// extendsCharacter reports whether r is part of the visible character before it.
func extendsCharacter(r rune) bool {
	return unicode.Is(unicode.M, r) || r == zeroWidthJoiner || r >= '\U0001F3FB' && r <= '\U0001F3FF'
}
