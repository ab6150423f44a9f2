package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/africastalking"
	"github.com/tuma-sms/tuma/providers/providertest"
	"github.com/tuma-sms/tuma/providers/textconnect"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silentLogger{})
	// If Redis was down, the function tryDial of go-redis sleeps for up to a second, even if its
	// client is closed. So goleak must not report this goroutine.
	goleak.VerifyTestMain(providertest.Guarded(m), goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

type silentLogger struct{}

func (silentLogger) Printf(context.Context, string, ...any) {}

const (
	firstSecret  = "first-secret-2b1f"
	secondSecret = "second-secret-9c44"
)

// lockedBuffer is a log that several goroutines may write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// rig is the server of one test, with a separate Redis.
type rig struct {
	*testing.T
	redis  *redistest.Server
	client *producer.Client
	server *Server
	log    *lockedBuffer
}

// newRig returns a rig with three accounts. The account "at" belongs to Africa's Talking, and has two
// secrets and no sender ID. The account "acme" belongs to Africa's Talking too, and has one secret and
// the sender ID ACME. The account "tc" belongs to TextConnect. The function "change" may change the configuration.
func newRig(t *testing.T, change func(*Config), opts ...producer.Option) *rig {
	t.Helper()
	r := &rig{T: t, redis: redistest.Start(t, redistest.WithAOF("everysec")), log: &lockedBuffer{}}
	rdb := r.redis.Client(func(o *redis.Options) { o.MaxRetries = -1 })
	var err error
	r.client, err = producer.New(rdb, opts...)
	r.ok(err)
	at, err := africastalking.New(africastalking.Config{Username: "sandbox", APIKey: "k"})
	r.ok(err)
	tc, err := textconnect.New(textconnect.Config{Token: "t"})
	r.ok(err)
	cfg := Config{
		Client: r.client, Logger: zerolog.New(r.log),
		Ready: func(ctx context.Context) error { return rdb.Ping(ctx).Err() },
		Accounts: []Account{
			{Name: "at", Secrets: []providers.Secret{firstSecret, secondSecret}, Provider: at},
			{Name: "acme", Secrets: []providers.Secret{firstSecret}, Provider: at, Sender: "ACME"},
			{Name: "tc", Secrets: []providers.Secret{secondSecret}, Provider: tc, Sender: "UKSHOP"},
		},
	}
	if change != nil {
		change(&cfg)
	}
	r.server, err = New(cfg)
	r.ok(err)
	return r
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// The method "post" posts a form to a path, and returns the answer. The parameter "fields" has names and values in
// turn.
func (r *rig) post(path string, fields ...string) *httptest.ResponseRecorder {
	r.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return r.request(http.MethodPost, path, strings.NewReader(form.Encode()))
}

func (r *rig) request(method, path string, body io.Reader) *httptest.ResponseRecorder {
	r.Helper()
	req := httptest.NewRequestWithContext(r.Context(), method, path, body)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	r.server.Handler(true).ServeHTTP(w, req)
	return w
}

// optOuts returns the sender IDs whose suppression lists contain the number.
func (r *rig) optOuts(number string) (senders []string) {
	r.Helper()
	found, err := r.client.OptOutsOf(r.Context(), number, "")
	r.ok(err)
	for _, x := range found {
		senders = append(senders, x.Sender+" "+x.Origin)
	}
	return senders
}
