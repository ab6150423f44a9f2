package webhook

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/script/scripttest"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed *.lua
var luaFiles embed.FS

func TestScriptArgs_HaveTheNamesOfTheGoFields(t *testing.T) {
	t.Parallel()
	scripttest.Arguments(t, luaFiles, "", map[string][]any{
		"begin": {beginArgs{}}, "commit": {commitArgs{}, change{}}, "redeliver": {redeliverArgs{}, deadChange{}}, "replace": {replaceArgs{}}, "release": {releaseArgs{}},
	})
}

const (
	firstSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secondSecret = "whsec_dHVtYS10dW1hLXR1bWEtdHVtYS10dW1hLXR1bWE="
)

// rig is a Service on a separate Redis, with a clock that the test moves. It has one endpoint, "hook", which
// sends to a receiver.
type rig struct {
	*testing.T
	rdb      *redis.Client
	client   *producer.Client
	service  *Service
	receiver *receiver
	log      *lockedLog

	mu sync.Mutex
	at time.Time
}

// lockedLog is a log that several goroutines write.
type lockedLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends to the log.
func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns the log.
func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, rdb: redistest.Start(t).Client(), log: &lockedLog{}, at: time.Now().Truncate(time.Second), receiver: newReceiver(t)}
	var err error
	if r.client, err = producer.New(r.rdb); err != nil {
		t.Fatal(err)
	}
	r.service = r.newService()
	r.start("hook")
	return r
}

// newService returns one more Service on the same Redis, as in another process.
func (r *rig) newService() *Service {
	s := New(script.NewRunner(r.rdb, script.Durability{}), r.client, zerolog.New(r.log))
	s.now = func(context.Context) (time.Time, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.at, nil
	}
	r.Cleanup(s.sender.close)
	s.SetConfigured([]Endpoint{{Name: "hook", URL: r.receiver.url, AllowPrivate: true, Secrets: []Secret{{Key: firstSecret}, {Key: secondSecret}}}})
	return s
}

// The method "start" sets the cursor of an endpoint to the present.
func (r *rig) start(name string) {
	r.Helper()
	if _, err := r.service.start(r.Context(), name); err != nil {
		r.Fatal(err)
	}
}

// move moves the clock.
func (r *rig) move(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.Add(d)
}

// The method "progress" writes the event CampaignProgress of a campaign with n pending recipients.
func (r *rig) progress(campaign string, n int) {
	r.Helper()
	r.add(events.Event{Kind: events.CampaignProgress, Campaign: campaign, State: "sending", Counts: &events.Counts{Total: 1000, Pending: n}})
}

// The method "change" writes the event CampaignState of a campaign with n pending recipients.
func (r *rig) change(campaign string, n int) {
	r.Helper()
	r.add(events.Event{Kind: events.CampaignState, Campaign: campaign, State: "sending", Counts: &events.Counts{Total: 1000, Pending: n}})
}

func (r *rig) add(e events.Event) {
	r.Helper()
	if err := events.New(r.service.scripts, 0).Add(r.Context(), e); err != nil {
		r.Fatal(err)
	}
}

// The method "deliver" delivers the messages that are due, and returns how long to wait until the next delivery.
func (r *rig) deliver() time.Duration {
	r.Helper()
	for {
		wait, err := r.service.pass(r.Context(), "hook")
		if err != nil {
			r.Fatal(err)
		}
		if wait > 0 {
			return wait
		}
	}
}

func (r *rig) state() State {
	r.Helper()
	list, err := r.service.States(r.Context())
	if err != nil || len(list) != 1 {
		r.Fatalf("got %d webhooks and %v, want one", len(list), err)
	}
	return list[0]
}

// message is a message that the receiver has taken.
type message struct {
	ID   string
	Type string         `json:"type"`
	At   time.Time      `json:"timestamp"`
	Data producer.Event `json:"data"`
}

// receiver is an HTTP server that verifies messages with the library of Standard Webhooks.
type receiver struct {
	url string

	mu       sync.Mutex
	answer   func(w http.ResponseWriter, m message) bool // returns false if the receiver has not taken the message
	requests int
	taken    []message
	wrong    []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	rc := &receiver{}
	server := httptest.NewServer(rc)
	t.Cleanup(server.Close)
	rc.url = server.URL + "/hook?token=in-the-url"
	t.Cleanup(func() {
		for _, w := range rc.wrong {
			t.Error(w)
		}
	})
	return rc
}

// ServeHTTP takes a message.
func (rc *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	rc.mu.Lock()
	rc.requests++
	answer := rc.answer
	m := message{ID: req.Header.Get("webhook-id")}
	for _, secret := range []string{firstSecret, secondSecret} {
		hook, wrong := standardwebhooks.NewWebhook(secret)
		if wrong == nil {
			wrong = hook.VerifyIgnoringTimestamp(body, req.Header)
		}
		if err != nil || wrong != nil || json.Unmarshal(body, &m) != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
			rc.wrong = append(rc.wrong, fmt.Sprintf("%s with the headers %v and the body %s: %v, %v", req.Method, req.Header, body, err, wrong))
		}
	}
	rc.mu.Unlock()
	if answer != nil && !answer(w, m) {
		return
	}
	rc.mu.Lock()
	rc.taken = append(rc.taken, m)
	rc.mu.Unlock()
}

// The method "set" changes how the receiver answers. If "answer" is nil, the receiver answers with status 200.
func (rc *receiver) set(answer func(http.ResponseWriter, message) bool) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.answer = answer
}

// The function "status" returns an answer function for a receiver that does not take the message.
func status(code int) func(http.ResponseWriter, message) bool {
	return func(w http.ResponseWriter, _ message) bool {
		w.WriteHeader(code)
		return false
	}
}

// The method "got" returns the number of requests, and the messages that the receiver has taken. The text of a message
// is its event kind or, if its event has counts, the campaign and the number of pending recipients.
func (rc *receiver) got() (requests int, taken []string) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	for _, m := range rc.taken {
		text := string(m.Data.Kind)
		if m.Data.Counts != nil {
			text = fmt.Sprintf("%s %d", m.Data.Campaign, m.Data.Counts.Pending)
		}
		taken = append(taken, text)
	}
	return rc.requests, taken
}

// endpoint returns an endpoint at a URL that may be private.
func endpoint(url string) *Endpoint {
	return &Endpoint{Name: "hook", URL: url, AllowPrivate: true, Secrets: []Secret{{Key: providers.Secret(firstSecret)}}}
}
