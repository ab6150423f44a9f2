// Package api is the HTTP API of `tuma serve`: campaigns, messages, results, accounts, suppression lists
// and incoming messages under /v1, for programs in any language. It calls producer.Client, so that the
// API, the library and the command line behave alike. The OpenAPI document of the API is at
// /openapi.json. A page made from this document is at /docs.
package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/audit"
	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/internal/webhook"
	"github.com/tuma-sms/tuma/producer"
)

// Config configures the API. All fields except Draining and Tracer are required.
type Config struct {
	Client *producer.Client
	Keys   *keys.Store
	Audit  *audit.Log
	// Tracer makes the spans of enqueues. If Tracer is nil, enqueues have no spans.
	Tracer *tracing.Tracer
	// Webhooks are the endpoints that get events.
	Webhooks *webhook.Service
	// Rate sets the rate of an account as a text such as "50/s"; an empty text means the configured rate.
	Rate func(ctx context.Context, account, rate string) error
	// Draining is a channel that is closed when the process ends. Then streams of events end too. It may be nil.
	Draining <-chan struct{}
	// Version is the release, for the OpenAPI document.
	Version string
	Logger  zerolog.Logger
}

// Limits of a request.
const (
	// maxJSON is the maximum size of a JSON body in bytes. maxRecipients is the maximum number of recipients in
	// such a body.
	maxJSON       = 8 << 20
	maxRecipients = 10_000
	// requestTimeout is the time limit for reading a JSON body. answerTimeout is the time limit for writing the
	// answer. For a long answer, this time starts anew after each part.
	requestTimeout = 30 * time.Second
	answerTimeout  = time.Minute
	// maxWait is the longest time that a request may wait for the end of a message.
	maxWait = 30 * time.Second
	// maxUploads is the maximum number of lists that are uploaded at once.
	maxUploads = 8
)

// API serves the operations. It is safe for concurrent use.
type API struct {
	Config
	mux     *http.ServeMux
	huma    huma.API
	uploads chan struct{}
	streams chan struct{}
	reports chan struct{}
	// The logger "failures" logs failed requests. It writes at most a few lines a second, because clients
	// repeat failed requests.
	failures zerolog.Logger
}

// failuresPerSecond is the maximum number of log lines a second about requests that failed.
const failuresPerSecond = 5

// New returns the API.
func New(c Config) *API {
	settings := huma.DefaultConfig("Tuma", c.Version)
	settings.DocsPath = "" // the API has its own page, because huma's page loads a script from another server
	settings.CreateHooks = nil
	settings.Info.Description = "Bulk SMS. Every request needs a key: Authorization: Bearer KEY. `tuma keys create` makes one."
	settings.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"key": {Type: "http", Scheme: "bearer"}}
	a := &API{Config: c, mux: http.NewServeMux(), uploads: make(chan struct{}, maxUploads), streams: make(chan struct{}, maxStreams),
		reports: make(chan struct{}, maxReports), failures: c.Logger.Sample(&zerolog.BurstSampler{Burst: failuresPerSecond, Period: time.Second})}
	a.huma = humago.New(a.mux, settings)
	a.huma.UseMiddleware(a.authorize)
	a.addMessages()
	a.addCampaigns()
	a.addResults()
	a.addControls()
	a.addAccounts()
	a.addOptOuts()
	a.addInbound()
	a.addKeys()
	a.addEvents()
	a.addUsage()
	a.addWebhooks()
	a.addExamples()
	a.mux.HandleFunc("GET /docs", a.docs)
	return a
}

// Paths has the beginnings of the paths that the API serves.
var Paths = []string{"/v1/", "/openapi.json", "/openapi.yaml", "/docs"}

// ServeHTTP serves one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	deadlines := http.NewResponseController(w)
	// The error is ignored: the response recorder of a test has no deadlines.
	_ = deadlines.SetReadDeadline(time.Now().Add(requestTimeout))
	_ = deadlines.SetWriteDeadline(time.Now().Add(answerTimeout + maxWait))
	w.Header().Set("Cache-Control", "no-store")
	handler, pattern := a.mux.Handler(r)
	if pattern != "" {
		a.mux.ServeHTTP(w, r)
		return
	}
	// The mux answers unknown paths and methods in plain text.
	plain := &discarded{header: http.Header{}, status: http.StatusNotFound}
	handler.ServeHTTP(plain, r)
	if allow := plain.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
	}
	if plain.status != http.StatusMethodNotAllowed {
		plain.status = http.StatusNotFound
	}
	writeProblem(w, huma.NewError(plain.status, http.StatusText(plain.status)))
}

// The type "discarded" is a ResponseWriter that sends nothing. It keeps the status and the header of the answer.
type discarded struct {
	header http.Header
	status int
}

// Header returns the header of the answer.
func (d *discarded) Header() http.Header { return d.header }

// Write drops the body.
func (d *discarded) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader keeps the status.
func (d *discarded) WriteHeader(status int) { d.status = status }

// operation returns the description of an operation. It sets everything that all operations of the API have
// in common.
func operation(id, method, path, summary string, scope keys.Scope, more ...func(*huma.Operation)) huma.Operation {
	o := huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, MaxBodyBytes: maxJSON, BodyReadTimeout: requestTimeout,
		Metadata: map[string]any{"scope": scope}, Security: []map[string][]string{{"key": {}}}, Extensions: map[string]any{"x-scope": string(scope)},
		Errors: []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge,
			http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}}
	for _, f := range more {
		f(&o)
	}
	return o
}

func status(code int) func(*huma.Operation) {
	return func(o *huma.Operation) { o.DefaultStatus = code }
}

func describe(text string) func(*huma.Operation) {
	return func(o *huma.Operation) { o.Description = text }
}
