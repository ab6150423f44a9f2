package config

import (
	"net/url"
	"strconv"
)

// Tracing is the tracing section of the configuration.
type Tracing struct {
	// Endpoint is the URL of the collector for OTLP/HTTP. If it is empty, the environment variables of
	// OpenTelemetry apply.
	Endpoint string
	// Sample is the share of campaigns whose traces are recorded, from 0 to 1. It is nil if it is not
	// set.
	Sample *float64
}

// Equal reports whether two sections have the same settings.
func (t Tracing) Equal(o Tracing) bool {
	if (t.Sample == nil) != (o.Sample == nil) || t.Sample != nil && *t.Sample != *o.Sample {
		return false
	}
	return t.Endpoint == o.Endpoint
}

// The method "tracing" reads the tracing section.
func (r *reader) tracing(e entry, target *Tracing) {
	r.section(e, map[string]func(entry){
		"endpoint": func(e entry) { r.collector(e, &target.Endpoint) },
		"sample":   func(e entry) { r.share(e, &target.Sample) },
	})
}

// The method "collector" reads the URL of a collector. The URL must not hold a login, because log
// lines show the URL.
func (r *reader) collector(e entry, target *string) {
	text, ok := r.text(e)
	if !ok || text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		r.fail(e, "must be a URL without login, query and fragment, e.g. http://127.0.0.1:4318; to send a token, set OTEL_EXPORTER_OTLP_HEADERS")
		return
	}
	*target = text
}

// The method "share" reads a number from 0 to 1.
func (r *reader) share(e entry, target **float64) {
	text, ok := r.text(e)
	if !ok {
		return
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0 && n <= 1) {
		r.fail(e, "%s must be a number from 0 to 1, e.g. 0.01", show(e))
		return
	}
	*target = &n
}
