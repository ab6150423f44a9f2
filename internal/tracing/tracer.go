package tracing

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Tracer makes the spans of Tuma. A nil Tracer makes no spans. It is safe for concurrent use.
type Tracer struct{ tracer trace.Tracer }

// New returns a Tracer that makes its spans with p. If p is nil, New returns nil.
func New(p trace.TracerProvider) *Tracer {
	if p == nil {
		return nil
	}
	return &Tracer{tracer: p.Tracer("github.com/tuma-sms/tuma")}
}

// off is the span of a Tracer that records nothing.
var off trace.Span = noop.Span{}

// Enqueue starts the span of an enqueue. If ctx has a span, the new span is a child of that span. The caller
// must end the new span with EndEnqueue.
func (t *Tracer) Enqueue(ctx context.Context) (context.Context, trace.Span) {
	if t == nil {
		return ctx, off
	}
	return t.tracer.Start(ctx, "enqueue", trace.WithSpanKind(trace.SpanKindProducer))
}

// EndEnqueue ends the span of an enqueue. The parameter "recipients" is the number of enqueued recipients.
func EndEnqueue(span trace.Span, recipients int, again bool, err error) {
	span.SetAttributes(attribute.Int("tuma.recipients", recipients), attribute.Bool("tuma.again", again))
	fail(span, err)
	span.End()
}

// The function "fail" marks a span as failed. The span does not get the text of the error, because the text may
// hold input of a caller.
func fail(span trace.Span, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		span.SetStatus(codes.Error, "failed")
	}
}

// Plan starts the span of a planning task. The parameter "header" is the traceparent of the task. The parameter
// "first" is true if no page has been planned yet. If the enqueue has no span, the first planning is the root
// of the campaign's trace.
func (t *Tracer) Plan(ctx context.Context, c Campaign, header string, first bool, recipients int) (context.Context, trace.Span) {
	if t == nil {
		return With(ctx, header), off
	}
	ctx = c.parent(ctx, header)
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attribute.Int("tuma.recipients", recipients))}
	if Undecided(ctx) && first {
		options = append(options, trace.WithNewRoot())
		ctx = context.WithValue(context.WithValue(ctx, undecidedKey{}, false), rootKey{}, c)
	}
	return t.tracer.Start(ctx, "plan", options...)
}

// EndPlan ends the span of a planning task.
func EndPlan(span trace.Span, err error) {
	fail(span, err)
	span.End()
}

// Batch is the trace of the work on one batch. The zero value records nothing.
type Batch struct {
	tracer *Tracer
	span   trace.Span
	ctx    context.Context //nolint:containedctx // the calls of a batch have separate contexts, which outlive the context of the task
}

// Batch starts the span of the work on one batch. The parameter "header" is the traceparent of the task. The
// caller must call End.
func (t *Tracer) Batch(ctx context.Context, c Campaign, header, account, provider string) Batch {
	if t == nil {
		return Batch{}
	}
	_, span := t.tracer.Start(c.parent(ctx, header), "batch", trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("tuma.account", account), attribute.String("tuma.provider", provider)))
	return Batch{tracer: t, span: span, ctx: trace.ContextWithSpan(context.Background(), span)}
}

// recorded reports whether the spans of the batch are recorded.
func (b Batch) recorded() bool { return b.span != nil && b.span.IsRecording() }

// TraceID returns the ID of the trace for log lines, or "" if the trace is not recorded.
func (b Batch) TraceID() string {
	if b.span == nil {
		return ""
	}
	return idOf(b.span.SpanContext())
}

// Context returns a copy of ctx that has the span of the batch.
func (b Batch) Context(ctx context.Context) context.Context {
	if b.span == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, b.span)
}

// End ends the span of the batch.
func (b Batch) End(err error) {
	if b.span == nil {
		return
	}
	fail(b.span, err)
	b.span.End()
}

// Call is the trace of one call. The zero value records nothing.
type Call struct {
	batch Batch
	span  trace.Span
}

// Call starts the span of one call of the batch. The caller ends it with End.
func (b Batch) Call(recipients, tries int, doubt bool) Call {
	if !b.recorded() {
		return Call{}
	}
	_, span := b.tracer.tracer.Start(b.ctx, "call", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.Int("tuma.recipients", recipients), attribute.Int("tuma.tries", tries), attribute.Bool("tuma.doubt", doubt)))
	return Call{batch: b, span: span}
}

// End ends the span of the call. The parameter "result" is one of dispatch.CallResults.
func (c Call) End(result string, ok bool) {
	if c.span == nil {
		return
	}
	c.span.SetAttributes(attribute.String("tuma.result", result))
	if !ok {
		c.span.SetStatus(codes.Error, result)
	}
	c.span.End()
}

// Settle starts the span in which the outcome of the call is written. It is a child of the span of the call.
// The caller must call the result "end" after the write. The parameter "deed" names the action of the verdict.
func (c Call) Settle(deed string) (end func(error)) {
	if c.span == nil {
		return func(error) {}
	}
	_, span := c.batch.tracer.tracer.Start(trace.ContextWithSpan(c.batch.ctx, c.span), "settle", trace.WithAttributes(attribute.String("tuma.deed", deed)))
	return func(err error) {
		fail(span, err)
		span.End()
	}
}
