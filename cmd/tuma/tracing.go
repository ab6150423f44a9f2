package main

import (
	"context"
	"runtime/debug"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/internal/tracing/otlp"
)

// startTracing starts the tracing of a command. The result sends the command's spans, and is nil if tracing is off.
// The caller must close the result.
func startTracing(ctx context.Context, a *app, cfg *config.Config, command string, log zerolog.Logger) (*otlp.Provider, error) {
	info, _ := debug.ReadBuildInfo()
	p, err := otlp.Start(ctx, otlp.Settings{Endpoint: cfg.Tracing.Endpoint, Sample: cfg.Tracing.Sample, Version: readBuild(info).release(version),
		Command: command, Lookup: a.lookup, Log: log})
	if err != nil {
		return nil, misuseError{err: err}
	}
	return p, nil
}

// traceEnqueue starts the span of an enqueue, for a command that ends after the enqueue. If the variable
// TRACEPARENT names a parent span, the new span is a child of that span. After the enqueue,
// the caller must call the result "end", which sends the span.
func traceEnqueue(ctx context.Context, a *app, cfg *config.Config) (traced context.Context, end func(recipients int, again bool, err error), err error) {
	p, err := startTracing(ctx, a, cfg, "cli", zerolog.Nop())
	if err != nil {
		return nil, nil, err
	}
	parent, _ := a.lookup("TRACEPARENT")
	ctx, span := tracing.New(p.TracerProvider()).Enqueue(tracing.With(ctx, parent))
	return ctx, func(recipients int, again bool, err error) {
		tracing.EndEnqueue(span, recipients, again, err)
		p.Close()
	}, nil
}
