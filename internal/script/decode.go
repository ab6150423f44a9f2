package script

import (
	"errors"
	"strconv"
	"time"
)

// The function "texts" converts a script's answer to strings. If err is ErrNotDurable, it returns
// both the answer and the error.
func texts(v any, err error) ([]string, error) {
	if err != nil && !errors.Is(err, ErrNotDurable) {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, ErrAnswer
	}
	out := make([]string, len(list))
	for i, x := range list {
		switch x := x.(type) {
		case string:
			out[i] = x
		case int64:
			out[i] = strconv.FormatInt(x, 10)
		default:
			return nil, ErrAnswer
		}
	}
	return out, err
}

// Text converts the value of a hash field, as the client returns it, to a string. It returns ""
// for a field that does not exist.
func Text(v any) string {
	s, _ := v.(string)
	return s
}

// Int converts the value of a hash field, or a part of an answer, to a number. It returns 0 for
// a field that does not exist or is not a number.
func Int(v any) int {
	n, err := strconv.Atoi(Text(v))
	if err != nil {
		return 0
	}
	return n
}

// Milli returns the time that s contains in milliseconds since 1970. It returns the zero time if
// s is 0 or not a number.
func Milli(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// UnixMilli reverses Milli.
func UnixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
