// Package otlp sends spans to a collector over OTLP/HTTP, with OpenTelemetry's SDK. A program
// that imports only the packages producer and worker does not link this package.
package otlp

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tuma-sms/tuma/internal/tracing"
)

// Settings configure the export of spans.
type Settings struct {
	// Endpoint is the URL of the collector, such as http://127.0.0.1:4318. If Endpoint is empty, the standard
	// variable OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT names the URL. If neither is
	// set, no spans are sent.
	Endpoint string
	// Sample is the share of campaigns whose traces are recorded, from 0 to 1. A campaign whose enqueue
	// belongs to a trace follows that trace. If Sample is nil, the standard variable OTEL_TRACES_SAMPLER
	// applies. If this variable is not set, DefaultSample applies.
	Sample *float64
	// Version is the release of Tuma. Command is the running command, such as "worker".
	Version, Command string
	// Lookup reads an environment variable.
	Lookup func(string) (string, bool)
	Log    zerolog.Logger
}

// DefaultSample is the share of campaigns whose traces are recorded.
const DefaultSample = 0.01

// shutdownTimeout is how long Provider.Close waits for the collector.
const shutdownTimeout = 2 * time.Second

// Provider makes spans and sends them. It is safe for concurrent use.
type Provider struct{ sdk *sdktrace.TracerProvider }

// Start returns a provider, or nil if tracing is off. Start itself opens no connection. While the collector
// cannot be reached, the provider logs one line a minute, and drops spans that do not fit into its queue. The
// caller must call Close.
func Start(ctx context.Context, s Settings) (*Provider, error) {
	if !s.on() {
		return nil, nil //nolint:nilnil // nil means that tracing is off
	}
	sampler, err := s.sampler()
	if err != nil {
		return nil, err
	}
	var options []otlptracehttp.Option // for all other settings, the exporter reads OpenTelemetry's standard variables
	if s.Endpoint != "" {
		at, err := tracesURL(s.Endpoint)
		if err != nil {
			return nil, err
		}
		options = append(options, otlptracehttp.WithEndpointURL(at))
	}
	handleErrors(s.Log)
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	// WithFromEnv comes last, because the later of two attributes with the same name applies. So
	// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override the defaults.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(attribute.String("service.name", "tuma-"+s.Command),
		attribute.String("service.version", s.Version)), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return &Provider{sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about),
		sdktrace.WithSampler(sampler), sdktrace.WithIDGenerator(tracing.IDs{}))}, nil
}

// TracerProvider returns the provider for tracing.New. It returns nil for a nil Provider.
func (p *Provider) TracerProvider() trace.TracerProvider {
	if p == nil {
		return nil
	}
	return p.sdk
}

// Close sends the waiting spans and ends the export. It returns after two seconds at most.
func (p *Provider) Close() {
	if p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := p.sdk.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

func (s Settings) env(name string) string {
	value, _ := s.Lookup(name)
	return strings.TrimSpace(value)
}

// The method "on" reports whether tracing is on. It is on if the settings name a collector, and no standard
// variable switches tracing off.
func (s Settings) on() bool {
	if strings.EqualFold(s.env("OTEL_SDK_DISABLED"), "true") || s.env("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return s.Endpoint != "" || s.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" || s.env("OTEL_EXPORTER_OTLP_ENDPOINT") != ""
}

// tracesURL returns the URL of a collector to which traces are sent. A URL without a path gets the standard
// path.
func tracesURL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("tracing: endpoint must be a URL such as http://127.0.0.1:4318")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	return u.String(), nil
}

// sampler returns the Sampler that decides whether a trace is recorded.
func (s Settings) sampler() (sdktrace.Sampler, error) {
	share, follows := DefaultSample, true
	name := s.env("OTEL_TRACES_SAMPLER")
	if s.Sample == nil && name != "" {
		kind, parent := strings.CutPrefix(name, "parentbased_")
		follows = parent
		switch kind {
		case "always_on":
			share = 1
		case "always_off":
			share = 0
		case "traceidratio":
			share = 1
			if arg := s.env("OTEL_TRACES_SAMPLER_ARG"); arg != "" {
				var err error
				if share, err = strconv.ParseFloat(arg, 64); err != nil || !(share >= 0 && share <= 1) {
					return nil, fmt.Errorf("tracing: OTEL_TRACES_SAMPLER_ARG: %.20q must be a number from 0 to 1", arg)
				}
			}
		default:
			return nil, fmt.Errorf("tracing: OTEL_TRACES_SAMPLER: %.40q must be always_on, always_off or traceidratio, each also with the prefix parentbased_", name)
		}
	}
	if s.Sample != nil {
		share = *s.Sample
	}
	root := sdktrace.TraceIDRatioBased(share)
	if !follows {
		return root, nil
	}
	return undecided{Sampler: sdktrace.ParentBased(root), root: root}, nil
}

// undecided is a sampler. If Tuma has computed the IDs of the parent span (tracing.Undecided), the field "root" decides
// by the trace ID. Otherwise the embedded sampler decides.
type undecided struct {
	sdktrace.Sampler
	root sdktrace.Sampler
}

// ShouldSample implements sdktrace.Sampler.
func (u undecided) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if tracing.Undecided(p.ParentContext) {
		return u.root.ShouldSample(p)
	}
	return u.Sampler.ShouldSample(p)
}

// failuresEvery is the minimum time between two log lines about a collector that does not accept spans.
const failuresEvery = time.Minute

// handleErrors makes OpenTelemetry write its errors to the logger "log", at most once a minute. The SDK has
// one handler for the whole process. The default handler writes plain text to standard error.
func handleErrors(log zerolog.Logger) {
	var mu sync.Mutex
	var logged time.Time
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if !logged.IsZero() && time.Since(logged) < failuresEvery {
			return
		}
		logged = time.Now()
		log.Warn().Str("problem", cut(err.Error())).Msg("traces could not be sent; the work continues without them")
	}))
}

// maxProblem is how many bytes of an error are logged. There is a limit because the error may hold the answer
// of a server.
const maxProblem = 200

func cut(text string) string {
	if len(text) > maxProblem {
		return strings.ToValidUTF8(text[:maxProblem], "") + "…"
	}
	return text
}
