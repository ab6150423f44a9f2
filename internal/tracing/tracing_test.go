package tracing_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/tuma-sms/tuma/internal/tracing"
)

const header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func newTracer(t *testing.T) (*tracing.Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	p := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithIDGenerator(tracing.IDs{}), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	t.Cleanup(func() { _ = p.Shutdown(context.WithoutCancel(t.Context())) })
	return tracing.New(p), spans
}

// byName returns the only span with the given name.
func byName(t *testing.T, all tracetest.SpanStubs, name string) tracetest.SpanStub {
	t.Helper()
	var found []tracetest.SpanStub
	for _, s := range all {
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("got %d spans %s, want 1", len(found), name)
	}
	return found[0]
}

func TestHeader_IsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	if got := tracing.Header(tracing.With(t.Context(), header)); got != header {
		t.Errorf("got %q, want %q", got, header)
	}
	for _, wrong := range []string{"", "00-", header[:54], header + "0", strings.Replace(header, "4bf92f3577b34da6a3ce929d0e0e4736", strings.Repeat("0", 32), 1),
		strings.Replace(header, "00f067aa0ba902b7", strings.Repeat("0", 16), 1), "01" + header[2:], strings.ToUpper(header), header[:53] + "zz", strings.ReplaceAll(header, "-", "+")} {
		if got := tracing.Header(tracing.With(t.Context(), wrong)); got != "" {
			t.Errorf("%q: got %q, want no span", wrong, got)
		}
	}
	if got := tracing.ID(tracing.With(t.Context(), header[:53]+"00")); got != "" {
		t.Errorf("ID of a trace that is not sampled: got %q, want none", got)
	}
}

// TestPlan_IsTheRootThatABatchOfTheSweeperKnows checks a campaign whose enqueue has no span. If the task of a batch
// was lost and the sweeper has queued the batch without a header, the parent of the batch's span must still be the
// span of the planning.
func TestPlan_IsTheRootThatABatchOfTheSweeperKnows(t *testing.T) {
	t.Parallel()
	tracer, spans := newTracer(t)
	c := tracing.Campaign{Upload: "token"}
	ctx, plan := tracer.Plan(t.Context(), c, "", true, 3)
	tracing.EndPlan(plan, nil)
	_, again := tracer.Plan(t.Context(), c, "", false, 3)
	tracing.EndPlan(again, nil)
	byHeader := tracer.Batch(t.Context(), c, tracing.Header(ctx), "kobo-main", "kobo")
	byHeader.End(nil)
	lost := tracer.Batch(t.Context(), c, "", "kobo-main", "kobo")
	lost.End(errors.New("secret"))
	other := tracer.Batch(t.Context(), tracing.Campaign{Upload: "other"}, "", "kobo-main", "kobo")
	other.End(nil)
	root := spans.GetSpans()[0]
	if root.Parent.IsValid() {
		t.Errorf("the first planning has the parent %v, want none", root.Parent)
	}
	for i, s := range spans.GetSpans()[1:4] {
		if s.Parent.SpanID() != root.SpanContext.SpanID() || s.SpanContext.TraceID() != root.SpanContext.TraceID() {
			t.Errorf("span %d, %s: got trace %s and parent %s, want those of the planning", i, s.Name, s.SpanContext.TraceID(), s.Parent.SpanID())
		}
		if strings.Contains(s.Status.Description, "secret") {
			t.Errorf("span %s has the text of an error: %q", s.Name, s.Status.Description)
		}
	}
	if got := spans.GetSpans()[4].SpanContext.TraceID(); got == root.SpanContext.TraceID() {
		t.Error("another campaign has the same trace")
	}
}

func TestCampaign_JoinsTheTraceOfItsEnqueue(t *testing.T) {
	t.Parallel()
	tracer, spans := newTracer(t)
	c := tracing.Campaign{Trace: header, Upload: "token"}
	ctx, plan := tracer.Plan(t.Context(), c, "", true, 3)
	batch := tracer.Batch(t.Context(), c, tracing.Header(ctx), "kobo-main", "kobo")
	call := batch.Call(3, 1, false)
	call.End("ok", true)
	call.Settle("settle")(nil)
	batch.End(nil)
	tracing.EndPlan(plan, nil)
	parent := trace.SpanContextFromContext(tracing.With(t.Context(), header)).SpanID()
	for _, name := range []string{"plan", "batch", "call", "settle"} {
		s := byName(t, spans.GetSpans(), name)
		if s.SpanContext.TraceID().String() != header[3:35] || s.Parent.SpanID() != parent {
			t.Errorf("%s: got trace %s and parent %s, want %s and %s", name, s.SpanContext.TraceID(), s.Parent.SpanID(), header[3:35], parent)
		}
		parent = s.SpanContext.SpanID()
	}
}

func TestTracer_OffCostsNoMemory(t *testing.T) {
	tracer, c, background := tracing.New(nil), tracing.Campaign{Upload: "token"}, t.Context()
	if n := testing.AllocsPerRun(100, func() {
		ctx, plan := tracer.Plan(background, c, "", true, 3)
		tracing.EndPlan(plan, nil)
		batch := tracer.Batch(ctx, c, "", "kobo-main", "kobo")
		call := batch.Call(3, 1, false)
		call.End("ok", true)
		call.Settle("settle")(nil)
		batch.End(nil)
		if batch.TraceID() != "" || tracing.Header(ctx) != "" {
			t.Error("a tracer that is off has a trace")
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
