package producer

import "context"

// traceparentSize is the length of a W3C traceparent of version 00.
const traceparentSize = 55

// traceparentOf returns the traceparent in ctx. The parameter "read" is the function of WithTraceparent.
// traceparentOf returns "" if "read" is nil, if ctx has no traceparent, or if the form of the
// traceparent is wrong.
func traceparentOf(ctx context.Context, read func(context.Context) string) string {
	if read == nil {
		return ""
	}
	text := read(ctx)
	if len(text) != traceparentSize {
		return ""
	}
	for i, b := range []byte(text) {
		dash := i == 2 || i == 35 || i == 52
		hex := b >= '0' && b <= '9' || b >= 'a' && b <= 'f'
		if dash != (b == '-') || !dash && !hex {
			return ""
		}
	}
	return text
}
