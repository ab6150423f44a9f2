package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

var errDraining = errors.New("the server is shutting down")

// healthChecks returns the handler of /healthz, /readyz and /metrics. /healthz succeeds while the process
// is alive. /readyz succeeds while the server can take callbacks.
func (s *Server) healthChecks() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { respond(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.ready(r.Context()); err != nil {
			respond(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		detail := ""
		if s.cfg.Detail != nil {
			detail = s.cfg.Detail()
		}
		respond(w, http.StatusOK, "ok\n"+detail)
	})
	if s.cfg.Metrics != nil {
		mux.Handle("GET /metrics", s.cfg.Metrics)
	}
	return mux
}

// The method "ready" returns an error if the server is draining or Redis does not accept writes.
func (s *Server) ready(ctx context.Context) error {
	if s.draining.Load() {
		return errDraining
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return s.cfg.Ready(ctx)
}

// The function "respond" writes a plain text response that must not be cached.
func respond(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.TrimSpace(text)+"\n")
}
