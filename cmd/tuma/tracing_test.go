package main

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// receiver is an OTLP/HTTP collector that keeps the spans it receives.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	raw   []byte
	spans map[string]*tracepb.Span // by ID
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{spans: map[string]*tracepb.Span{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body := io.Reader(req.Body)
		if req.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unzipped
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return // a process that was killed
		}
		r.take(t, text)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(t *testing.T, text []byte) {
	var in collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(text, &in); err != nil {
		t.Error(err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.raw = append(r.raw, text...)
	for _, resource := range in.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				r.spans[hex.EncodeToString(s.GetSpanId())] = s
			}
		}
	}
}

// summary returns the number of spans of each name, the traces, and the spans whose parent span was not
// received.
func (r *receiver) summary() (names map[string]int, traces map[string]bool, roots []*tracepb.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names, traces = map[string]int{}, map[string]bool{}
	for _, s := range r.spans {
		names[s.GetName()]++
		traces[hex.EncodeToString(s.GetTraceId())] = true
		if r.spans[hex.EncodeToString(s.GetParentSpanId())] == nil {
			roots = append(roots, s)
		}
	}
	return names, traces, roots
}

// traced is a fixture whose processes send their spans to a receiver.
type traced struct {
	*fixture
	*receiver
	logged []string
}

func newTraced(t *testing.T, sample string, o simulator.Options) *traced {
	t.Helper()
	x := &traced{fixture: newFixture(t, o), receiver: newReceiver(t)}
	x.replaceConfig("\ndefault_country", "\ntracing: {endpoint: \""+x.URL+"\", sample: "+sample+"}\ndefault_country")
	return x
}

// replaceConfig replaces a part of tuma.yaml.
func (h *fixture) replaceConfig(old, text string) {
	h.t.Helper()
	content, err := os.ReadFile(filepath.Join(h.dir, "tuma.yaml"))
	if err != nil {
		h.t.Fatal(err)
	}
	before := string(content)
	if !strings.Contains(before, old) {
		h.t.Fatalf("tuma.yaml lacks %q", old)
	}
	h.file("tuma.yaml", strings.Replace(before, old, text, 1))
}

// The method "workers" starts n workers as processes. The result "stop" ends the processes; each of them then sends
// its spans.
func (x *traced) workers(n int) (stop func()) {
	x.t.Helper()
	var all []func()
	for range n {
		p := x.process("worker", "--accounts", "kobo-main", "--log-format", "json", "--log-level", "debug")
		x.t.Cleanup(func() {
			_ = p.Process.Kill()
			_ = p.Wait()
		})
		log := p.Stderr.(*syncBuffer)
		eventually(x.t, "a worker to start", func() bool { return strings.Contains(log.String(), "worker started") })
		all = append(all, func() {
			if err := errors.Join(p.Process.Signal(syscall.SIGTERM), p.Wait()); err != nil {
				x.t.Errorf("worker after SIGTERM: got %v, want exit 0\n%s", err, log)
			}
			x.logged = append(x.logged, log.String())
		})
	}
	return func() {
		for _, end := range all {
			end()
		}
	}
}

// wantOneTrace checks that all spans belong to one trace with one root, and returns the ID of the trace.
func (x *traced) wantOneTrace(root string, names map[string]int) string {
	x.t.Helper()
	got, traces, roots := x.summary()
	if len(traces) != 1 || len(roots) != 1 || roots[0].GetName() != root {
		x.t.Fatalf("got %d traces and the roots %v, want one trace and its root %s; spans: %v", len(traces), roots, root, got)
	}
	for name, least := range names {
		if got[name] < least {
			x.t.Errorf("got %d spans %s, want at least %d; spans: %v", got[name], name, least, got)
		}
	}
	if got["call"] != got["settle"] || got["call"] != int(x.gateway.Stats().Calls) {
		x.t.Errorf("got %d calls, %d settles and %d requests at the gateway, want the same number", got["call"], got["settle"], int(x.gateway.Stats().Calls))
	}
	return hex.EncodeToString(roots[0].GetTraceId())
}

// wantNothingSecret checks that the spans hold no number, text, campaign ID, login or key.
func (x *traced) wantNothingSecret(id string) {
	x.t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range []string{id, "2547", "7123450", "Our text", "Hujambo", "secret-word", "demo"} {
		if strings.Contains(string(x.raw), s) {
			x.t.Errorf("the spans contain %q", s)
		}
	}
}

// The function "numbers" returns n lines with numbers that differ.
func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strconv.Itoa(254712345000+i) + "\n")
	}
	return b.String()
}

func TestTracing_OneCampaignIsOneTraceOverProcesses(t *testing.T) {
	t.Parallel()
	x := newTraced(t, "1", simulator.Options{})
	stop := x.workers(2)
	// All recipients get the same text, so Tuma sends the campaign in one call. Either worker may plan it or send it.
	out, errOut, exit := x.runWithInput("number,name\n"+strings.ReplaceAll(numbers(300), "\n", ",Hujambo\n"), "send", "--id", "autumn-sale", "--via", "kobo-main",
		"--body", "Our text {{name}}", "--wait")
	if exit != exitDone {
		t.Fatalf("send: got exit %d\n%s%s", exit, out, errOut)
	}
	stop()
	trace := x.wantOneTrace("enqueue", map[string]int{"enqueue": 1, "plan": 1, "batch": 1, "call": 1, "settle": 1})
	x.wantNothingSecret("autumn-sale")
	logs := strings.Join(x.logged, "")
	for _, line := range []string{"campaign started", "campaign ended", "call finished"} {
		found := false
		for l := range strings.Lines(logs) {
			found = found || strings.Contains(l, `"message":"`+line+`"`) && strings.Contains(l, `"trace_id":"`+trace+`"`)
		}
		if !found {
			t.Errorf("no line %q has the trace_id %s", line, trace)
		}
	}
}

func TestTracing_WithoutASpanOfTheEnqueueThePlanningIsTheRoot(t *testing.T) {
	t.Parallel()
	x := newTraced(t, "1", simulator.Options{})
	stop := x.workers(2)
	client, err := producer.New(x.redis.Client(), producer.WithTraceparent(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Enqueue(t.Context(), producer.Campaign{ID: "by-library", Via: "kobo-main", Body: "Our text"}, producer.Numbers(strings.Fields(numbers(600))...)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Wait(t.Context(), "by-library"); err != nil {
		t.Fatal(err)
	}
	stop()
	x.wantOneTrace("plan", map[string]int{"plan": 1, "batch": 1, "call": 1, "settle": 1})
	x.wantNothingSecret("by-library")
}

func TestTracing_JoinsTheTraceOfTheCaller(t *testing.T) {
	t.Parallel()
	const caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	x := newTraced(t, "0", simulator.Options{}) // Tuma records a trace only if the caller has sampled that trace
	stop := x.workers(1)
	x.mustRun("message", "send", "--via", "kobo-main", "--to", "254712345001", "--body", "Our text", "--wait")
	x.env = append(x.env, "TRACEPARENT="+caller)
	x.mustRun("message", "send", "--via", "kobo-main", "--to", "254712345002", "--body", "Our text", "--wait")
	client, err := producer.New(x.redis.Client(), producer.WithTraceparent(func(context.Context) string { return caller }))
	if err != nil {
		t.Fatal(err)
	}
	r, err := client.Send(t.Context(), producer.Message{Via: "kobo-main", To: "254712345003", Body: "Our text"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.WaitMessage(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	stop()
	names, traces, roots := x.summary()
	if len(traces) != 1 || !traces[caller[3:35]] || names["call"] != 2 || names["enqueue"] != 1 {
		t.Errorf("got the traces %v with %v, want the caller's with two calls and one enqueue", traces, names)
	}
	for _, s := range roots {
		if got := hex.EncodeToString(s.GetParentSpanId()); got != caller[36:52] {
			t.Errorf("%s has the parent %s, want the span of the caller", s.GetName(), got)
		}
	}
}
