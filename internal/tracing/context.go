// Package tracing links the work on one campaign in a trace: its enqueue, its planning, its batches, and
// their calls and settles. It uses only the API of OpenTelemetry. Package otlp sends the spans. No attribute
// holds a number, a text, a campaign ID or a key, because traces are often stored at another company.
package tracing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// headerSize is the length of a traceparent of version 00: version, trace ID, span ID and flags.
const headerSize = 2 + 1 + 32 + 1 + 16 + 1 + 2

// Header returns the W3C traceparent of the span in ctx, or "" if ctx has no span.
func Header(ctx context.Context) string {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return ""
	}
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + (sc.TraceFlags() & trace.FlagsSampled).String()
}

// parse reads a W3C traceparent. The result "ok" is false if the text is not a traceparent.
func parse(header string) (sc trace.SpanContext, ok bool) {
	if len(header) != headerSize || header[:3] != "00-" || header[35] != '-' || header[52] != '-' {
		return sc, false
	}
	traceID, err := trace.TraceIDFromHex(header[3:35])
	if err != nil {
		return sc, false
	}
	spanID, err := trace.SpanIDFromHex(header[36:52])
	if err != nil {
		return sc, false
	}
	flags, err := hex.DecodeString(header[53:])
	if err != nil {
		return sc, false
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true}), true
}

// With returns a context whose parent span is the span in a W3C traceparent. If the text is not valid, With
// returns ctx.
func With(ctx context.Context, header string) context.Context {
	if sc, ok := parse(header); ok {
		return trace.ContextWithRemoteSpanContext(ctx, sc)
	}
	return ctx
}

// ID returns the ID of the trace in ctx for a log line, or "" if the trace is not recorded.
func ID(ctx context.Context) string { return idOf(trace.SpanContextFromContext(ctx)) }

func idOf(sc trace.SpanContext) string {
	if !sc.IsSampled() || !sc.HasTraceID() {
		return ""
	}
	return sc.TraceID().String()
}

// Campaign has the values on which the trace of a campaign depends.
type Campaign struct {
	// Trace is the traceparent of the enqueue, or "".
	Trace string
	// Upload is the token of the upload. Campaigns that had the same ID one after the other have
	// different tokens.
	Upload string
}

// parent returns a context for spans of the campaign. The parameter "header" is the traceparent of the task,
// or "" for a task that the sweeper has queued. Without a traceparent, the parent is the span of the enqueue.
// If the enqueue also has no span, the parent is the span of the planning. The IDs of this span are computed
// from the upload, so that all workers can compute them.
func (c Campaign) parent(ctx context.Context, header string) context.Context {
	for _, h := range []string{header, c.Trace} {
		if sc, ok := parse(h); ok {
			return trace.ContextWithRemoteSpanContext(ctx, sc)
		}
	}
	traceID, spanID := c.computed()
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, Remote: true})
	return context.WithValue(trace.ContextWithRemoteSpanContext(ctx, sc), undecidedKey{}, true)
}

// The function "computed" returns the IDs of the planning span of a campaign whose enqueue has no
// span.
func (c Campaign) computed() (traceID trace.TraceID, spanID trace.SpanID) {
	sum := sha256.Sum256([]byte(c.Upload))
	copy(traceID[:], sum[:16])
	copy(spanID[:], sum[16:24])
	return traceID, spanID
}

// undecidedKey marks a context whose parent span has computed IDs. rootKey marks a context whose next span has
// computed IDs.
type (
	undecidedKey struct{}
	rootKey      struct{}
)

// Undecided reports whether the parent span in ctx has computed IDs. The flags of such a span do not show whether
// the trace is recorded, so a sampler must decide by the trace ID.
func Undecided(ctx context.Context) bool {
	undecided, _ := ctx.Value(undecidedKey{}).(bool)
	return undecided
}

// IDs generates the IDs of spans. They are random, except for the planning of a campaign, whose IDs are
// computed. It implements the interface IDGenerator of OpenTelemetry's SDK, and is safe for concurrent use.
type IDs struct{}

// NewIDs returns the IDs of a span without a parent.
func (g IDs) NewIDs(ctx context.Context) (traceID trace.TraceID, spanID trace.SpanID) {
	if c, ok := ctx.Value(rootKey{}).(Campaign); ok {
		return c.computed()
	}
	for !traceID.IsValid() {
		fill(traceID[:])
	}
	return traceID, g.NewSpanID(ctx, traceID)
}

// NewSpanID returns the ID of a span that has a parent.
func (IDs) NewSpanID(context.Context, trace.TraceID) (spanID trace.SpanID) {
	for !spanID.IsValid() {
		fill(spanID[:])
	}
	return spanID
}

// fill fills b with random bytes. The length of b must be a multiple of 8. IDs of spans need not be secret.
func fill(b []byte) {
	for i := 0; i < len(b); i += 8 {
		n := rand.Uint64()
		for k := range 8 {
			b[i+k] = byte(n >> (8 * k))
		}
	}
}
