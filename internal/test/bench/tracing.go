//go:build unix

package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

// untraced is the source of a tracer that does nothing. In the build without tracing it replaces the real tracer. All
// other code of this build is the same as in the other builds.
//
//go:embed testdata/untraced/tracer.go.txt
var untraced []byte

// withoutHeader has the changes to internal/tracing/context.go in the build without tracing, as pairs of old and new
// text. With these changes, the traceparent of a task is neither read nor written.
var withoutHeader = [][2]string{
	{"func Header(ctx context.Context) string {\n", "func Header(context.Context) string { return \"\" }\n\nfunc header(ctx context.Context) string {\n"},
	{"func With(ctx context.Context, header string) context.Context {\n", "func With(ctx context.Context, _ string) context.Context { return ctx }\n\nfunc with(ctx context.Context, header string) context.Context {\n"},
	{"func ID(ctx context.Context) string {", "func ID(context.Context) string { return \"\" }\n\nfunc id(ctx context.Context) string {"},
}

// These are the limits for the cost of tracing. In each round, the cost of a build is divided by the cost of the
// build without tracing. The limits apply to the medians of these quotients.
const (
	maxOff = 1.01
	maxOn  = 1.05
)

// sampledOf is 100, because one of 100 campaigns (1 %) is recorded.
const sampledOf = 100

// traceMode is one way to run the worker.
type traceMode struct {
	name   string
	binary string
	on     bool
}

type tracingOptions struct {
	calls, rounds, perCall int
	dir                    string
	spans                  *spanSink
	modes                  []traceMode
}

// tracingRole measures the cost of tracing for a worker. It measures the CPU time of the worker, and the time in which
// the worker makes its calls at a gateway without latency. It compares a build without tracing, tracing that is off,
// and tracing with 1 % of the campaigns recorded. Each round runs all three modes, in a different order. The exit
// status is 1 if a median of the ratios of CPU times exceeds its bound.
//
//	go run ./internal/test/bench tracing -calls 20000 -rounds 9
func tracingRole(ctx context.Context, args []string) error {
	var o tracingOptions
	f := flag.NewFlagSet("bench tracing", flag.ContinueOnError)
	f.IntVar(&o.calls, "calls", 20_000, "calls of a run, in 100 campaigns")
	f.IntVar(&o.rounds, "rounds", 9, "number of rounds")
	f.IntVar(&o.perCall, "per-call", 1, "recipients of a call; tracing costs the same for each call")
	if err := f.Parse(args); err != nil {
		return err
	}
	var err error
	if o.dir, err = os.MkdirTemp("", "tuma-tracing-"); err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	if o.spans, err = newSpanSink(); err != nil {
		return err
	}
	defer o.spans.close()
	normal, none := filepath.Join(o.dir, "tuma"), filepath.Join(o.dir, "tuma-untraced")
	if err := buildUntraced(ctx, o.dir, normal, none); err != nil {
		return err
	}
	o.modes = []traceMode{{"none", none, false}, {"off", normal, false}, {"on", normal, true}}
	return compareTracing(ctx, o)
}

// buildUntraced builds tuma twice: with tracing, and without.
func buildUntraced(ctx context.Context, dir, normal, none string) error {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", module+"/internal/tracing").Output()
	if err != nil {
		return fmt.Errorf("find the tracer: %w", err)
	}
	source := strings.TrimSpace(string(out))
	text, err := os.ReadFile(filepath.Join(source, "context.go"))
	if err != nil {
		return err
	}
	for _, t := range withoutHeader {
		if strings.Count(string(text), t[0]) != 1 {
			return fmt.Errorf("internal/tracing/context.go must have %q exactly once: correct withoutHeader in internal/test/bench/tracing.go", t[0])
		}
		text = []byte(strings.Replace(string(text), t[0], t[1], 1))
	}
	replace := map[string]string{}
	for name, content := range map[string][]byte{"tracer.go": untraced, "context.go": text} {
		replace[filepath.Join(source, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{{"-o", normal}, {"-o", none, "-overlay", file}} {
		args = append(append([]string{"build", "-trimpath"}, args...), module+"/cmd/tuma")
		if output, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("build tuma: %w\n%s", err, output)
		}
	}
	return nil
}

// spanSink is a collector that accepts spans and discards them.
type spanSink struct {
	url   string
	web   *http.Server
	bytes atomic.Int64
}

func newSpanSink() (*spanSink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &spanSink{url: "http://" + l.Addr().String()}
	s.web = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body) // a worker that is being stopped may end the request early
		s.bytes.Add(n)
		w.Header().Set("Content-Type", "application/x-protobuf")
	})}
	go func() { _ = s.web.Serve(l) }() // Serve returns when the method "close" closes the server
	return s, nil
}

func (s *spanSink) close() { _ = s.web.Close() } // the measurement is over, so the error changes nothing

// cost has the measured cost of one run.
type cost struct {
	wall, cpu time.Duration
}

// compareTracing runs the modes in turn, prints the medians, and checks the bounds.
func compareTracing(ctx context.Context, o tracingOptions) error {
	ratios := map[string][]float64{}
	walls := map[string][]float64{}
	costs := map[string][]cost{}
	for round := range o.rounds {
		var line strings.Builder
		of := map[string]cost{}
		for i := range o.modes {
			m := o.modes[(round+i)%len(o.modes)]
			c, err := runTraced(ctx, o, m)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			of[m.name] = c
			costs[m.name] = append(costs[m.name], c)
			fmt.Fprintf(&line, "  %s %.2f s (%.2f CPU-s)", m.name, c.wall.Seconds(), c.cpu.Seconds())
		}
		for _, name := range []string{"off", "on"} {
			ratios[name] = append(ratios[name], of[name].cpu.Seconds()/of["none"].cpu.Seconds())
			walls[name] = append(walls[name], of[name].wall.Seconds()/of["none"].wall.Seconds())
		}
		fmt.Printf("round %d:%s\n", round+1, line.String())
	}
	fmt.Printf("\n%d calls of %d recipients, medians of %d rounds; ratios to the build without tracing, of each round\n", o.calls, o.perCall, o.rounds)
	for _, m := range o.modes {
		wall, cpu := medianCost(costs[m.name], func(c cost) time.Duration { return c.wall }), medianCost(costs[m.name], func(c cost) time.Duration { return c.cpu })
		fmt.Printf("  %-5s %8.2f s  %6.0f calls/s  %6.2f CPU-s", m.name, wall.Seconds(), float64(o.calls)/wall.Seconds(), cpu.Seconds())
		if len(ratios[m.name]) > 0 {
			fmt.Printf("   CPU %.3f  time %.3f", middle(ratios[m.name]), middle(walls[m.name]))
		}
		fmt.Println()
	}
	var b bounds
	b.check(middle(ratios["off"]) <= maxOff, "tracing off takes %.3f of the CPU time without tracing, must be at most %.2f", middle(ratios["off"]), maxOff)
	b.check(middle(ratios["on"]) <= maxOn, "tracing of 1 %% takes %.3f of the CPU time without tracing, must be at most %.2f", middle(ratios["on"]), maxOn)
	if len(b.broken) > 0 {
		return errors.New("bounds not kept:\n  " + strings.Join(b.broken, "\n  "))
	}
	return nil
}

func middle(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

func medianCost(all []cost, of func(cost) time.Duration) time.Duration {
	v := make([]time.Duration, len(all))
	for i, c := range all {
		v[i] = of(c)
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// runTraced measures one run. The time begins with the release of the account, when all its campaigns are planned, and
// ends with the last call. The CPU time is the worker's time from its start to its end.
func runTraced(ctx context.Context, o tracingOptions, m traceMode) (c cost, err error) {
	setup := flowSetup{workers: 1, accounts: []flowAccount{{gateway: measured, rate: "0", perCall: o.perCall, timeout: 5 * time.Second}}}
	if m.on {
		setup.more = fmt.Sprintf("tracing: {endpoint: '%s', sample: 0.01}\n", o.spans.url)
	}
	r, err := newFlowRig(ctx, flowOptions{dir: o.dir, binary: m.binary}, setup)
	if err != nil {
		return c, err
	}
	defer r.end()
	spans := o.spans.bytes.Load()
	if err := r.client.Hold(ctx, measured, "bench"); err != nil {
		return c, err
	}
	if err := r.enqueueTraced(ctx, o.calls*o.perCall/sampledOf); err != nil {
		return c, err
	}
	begun := time.Now()
	if _, err := r.client.Release(ctx, measured); err != nil {
		return c, err
	}
	if err := poll(ctx, 10*time.Minute, "the calls", func() (bool, error) { return r.gateway.Stats().Calls >= int64(o.calls), nil }); err != nil {
		return c, err
	}
	c.wall = time.Since(begun)
	w := r.workers[0]
	w.end()
	c.cpu, _ = w.usage()
	if sent := o.spans.bytes.Load() > spans; sent != m.on {
		return c, fmt.Errorf("spans came: %t, want %t", sent, m.on)
	}
	return c, nil
}

// enqueueTraced enqueues 100 campaigns of n recipients, and returns when all of them are planned. One of the campaigns
// belongs to a recorded trace.
func (r *flowRig) enqueueTraced(ctx context.Context, n int) error {
	for i := range sampledOf {
		flags := "00"
		if i == 0 {
			flags = "01"
		}
		client, err := producer.New(r.redis.client, producer.WithTraceparent(func(context.Context) string {
			return fmt.Sprintf("00-%032x-%016x-%s", i+1, i+1, flags)
		}))
		if err != nil {
			return err
		}
		if _, err := client.Enqueue(ctx, producer.Campaign{ID: fmt.Sprintf("c%d", i), Via: measured, From: "ACME", Body: body}, numbers(n, i*n)); err != nil {
			return err
		}
	}
	return poll(ctx, time.Minute, "the planning", func() (bool, error) {
		for i := range sampledOf {
			if s, err := r.client.Status(ctx, fmt.Sprintf("c%d", i)); err != nil || s.State != producer.Sending {
				return false, err
			}
		}
		return true, nil
	})
}
