package otlp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/internal/tracing/otlp"
)

// environment returns a function that reads the given variables.
func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}

func TestStart_IsOffUnlessACollectorIsNamed(t *testing.T) {
	t.Parallel()
	const url = "http://127.0.0.1:1"
	for name, x := range map[string]struct {
		endpoint string
		env      map[string]string
		on       bool
	}{
		"nothing":            {"", nil, false},
		"the setting":        {url, nil, true},
		"the variable":       {"", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": url}, true},
		"that of traces":     {"", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url}, true},
		"the SDK is off":     {url, map[string]string{"OTEL_SDK_DISABLED": "true"}, false},
		"no exporter":        {url, map[string]string{"OTEL_TRACES_EXPORTER": "none"}, false},
		"a sampler is known": {url, map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, true},
	} {
		p, err := otlp.Start(t.Context(), otlp.Settings{Endpoint: x.endpoint, Lookup: environment(x.env), Log: zerolog.Nop()})
		if err != nil || (p != nil) != x.on || (tracing.New(p.TracerProvider()) != nil) != x.on {
			t.Errorf("%s: got %v, %v; want it on: %v", name, p, err, x.on)
		}
		p.Close()
	}
	for _, env := range []map[string]string{{"OTEL_TRACES_SAMPLER": "jaeger_remote"}, {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}} {
		if _, err := otlp.Start(t.Context(), otlp.Settings{Endpoint: url, Lookup: environment(env), Log: zerolog.Nop()}); err == nil || !strings.Contains(err.Error(), "OTEL_TRACES_SAMPLER") {
			t.Errorf("%v: got %v, want an error that names the variable", env, err)
		}
	}
}

// TestStart_SamplesCampaignsAsAWhole checks that each campaign is recorded either completely or not at all, even if its
// batches have no header. It also checks that about the given share of campaigns is recorded.
func TestStart_SamplesCampaignsAsAWhole(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/v1/traces" {
			requests.Add(1)
		}
	}))
	t.Cleanup(collector.Close)
	share := 0.25
	p, err := otlp.Start(t.Context(), otlp.Settings{Endpoint: collector.URL, Sample: &share, Lookup: environment(nil), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	tracer, recorded := tracing.New(p.TracerProvider()), 0
	const campaigns = 2_000
	for i := range campaigns {
		c := tracing.Campaign{Upload: fmt.Sprint("upload ", i)}
		ctx, plan := tracer.Plan(t.Context(), c, "", true, 1)
		tracing.EndPlan(plan, nil)
		batch := tracer.Batch(t.Context(), c, "", "kobo-main", "kobo")
		batch.End(nil)
		if tracing.ID(ctx) != batch.TraceID() {
			t.Fatalf("campaign %d: the planning has trace %q and the batch %q, want both or neither", i, tracing.ID(ctx), batch.TraceID())
		}
		if tracing.ID(ctx) != "" {
			recorded++
		}
	}
	if recorded < campaigns/5 || recorded > campaigns*3/10 {
		t.Errorf("got %d of %d campaigns recorded, want about a quarter", recorded, campaigns)
	}
	foreign := tracer.Batch(t.Context(), tracing.Campaign{Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, "", "a", "kobo")
	if foreign.TraceID() == "" {
		t.Error("a campaign of a recorded trace is not recorded")
	}
	foreign.End(nil)
	p.Close()
	if requests.Load() == 0 {
		t.Error("the collector got no request at /v1/traces")
	}
}

// TestClose_DoesNotWaitForACollectorThatHangs uses a collector that accepts requests but never answers.
func TestClose_DoesNotWaitForACollectorThatHangs(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	t.Cleanup(func() {
		close(done)
		collector.Close()
	})
	all := 1.0
	p, err := otlp.Start(t.Context(), otlp.Settings{Endpoint: collector.URL, Sample: &all, Lookup: environment(nil), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracing.New(p.TracerProvider()).Enqueue(context.Background())
	tracing.EndEnqueue(span, 1, false, nil)
	began := time.Now()
	p.Close()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Close took %s, want about 2 s", took)
	}
}
