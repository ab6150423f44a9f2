package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// plantedRig is a worker and a tuma serve with an account at each gateway. Each secret of the configuration, each
// number and each text is a plant.
type plantedRig struct {
	*deployment
	plants  []plant
	kinds   []providers.Kind
	mirror  *mirror
	yaml    string              // the good tuma.yaml
	secrets map[string]string   // by name
	said    map[string][]string // output of commands and answers of the API and the doors, by the name of their source
	trace   *collector
	redis   *watched
	listen  map[string]string // addresses of the processes
	process map[string]*exec.Cmd
}

// mirror serves the sandbox. It answers some requests with a page that repeats all of the request, as error pages of
// gateways and proxies do.
type mirror struct {
	http.Handler
	left   atomic.Int32 // how many of the next requests the mirror answers with a page
	status atomic.Int32
	shown  atomic.Int32 // how many requests the mirror has answered with a page
}

// ServeHTTP implements http.Handler.
func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sandbox/") || m.left.Add(-1) < 0 {
		m.Handler.ServeHTTP(w, r)
		return
	}
	m.shown.Add(1)
	body, _ := io.ReadAll(r.Body) // if the client has closed the connection, the page lacks a part of the body
	plain, _ := url.QueryUnescape(string(body))
	w.Header().Set("Location", "/elsewhere?"+r.URL.RawQuery+"&"+string(body))
	w.WriteHeader(int(m.status.Load()))
	_, _ = fmt.Fprintf(w, "Error: %s %s\n%v\n%s\n%s\n", r.Method, r.URL, r.Header, body, plain)
}

// The method "answer" makes the mirror answer the next n requests with a page that repeats the request.
func (m *mirror) answer(n, status int) {
	m.status.Store(int32(status))
	m.left.Store(int32(n))
}

// collector is an OTLP/HTTP collector that keeps the bytes of the spans. A search finds texts in these bytes, because
// they are not compressed.
type collector struct {
	url string
	mu  sync.Mutex
	raw bytes.Buffer
	// The field "tokens" is the number of requests that had the token of the configuration.
	tokens int
}

func newCollector(t *testing.T, token string) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unzipped
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, err := io.Copy(&c.raw, body); err != nil {
			t.Error(err)
		}
		if r.Header.Get("Authorization") == token {
			c.tokens++
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// The type "watched" is a Redis whose commands are recorded, including the commands of scripts.
type watched struct {
	*redistest.Server
	stop func() []string
}

// The function "watch" starts to record the commands of a Redis. The field stop() ends the recording and returns the
// commands.
func watch(t *testing.T, server *redistest.Server) *watched {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	var all []byte
	var reading sync.WaitGroup
	reading.Go(func() { all, _ = io.ReadAll(conn) }) // ends with an error when the function stop() closes conn
	return &watched{server, sync.OnceValue(func() []string {
		_ = conn.Close()
		reading.Wait()
		return strings.Split(string(all), "\r\n")
	})}
}

// plantedNumbers are the recipients and senders. They differ from the example numbers on the pages of Tuma.
var plantedNumbers = []string{"254712983465", "254796041827", "254701864293", "254745930618", "254758216407", "254720497583", "254733698152"}

// newPlantedRig starts Redis and the sandbox, writes the configuration and starts both processes.
func newPlantedRig(t *testing.T) *plantedRig {
	t.Helper()
	x := &plantedRig{kinds: catalog.Kinds(), secrets: map[string]string{}, said: map[string][]string{}, listen: map[string]string{}, process: map[string]*exec.Cmd{}}
	for i, n := range plantedNumbers {
		x.plants = append(x.plants, newNumber(fmt.Sprintf("number %d", i), n))
	}
	gateway := catalog.Simulate(simulator.Options{})
	x.mirror = &mirror{Handler: gateway}
	web := httptest.NewServer(x.mirror)
	t.Cleanup(func() {
		gateway.Close()
		web.Close()
	})
	server := redistest.Start(t, redistest.WithAOF("everysec"), redistest.WithUser("tuma", x.secret("redis", "Rd8/vU qz+7pLm"), documentedRights(t)...))
	x.redis = watch(t, server)
	t.Cleanup(func() { x.redis.stop() })
	x.deployment = &deployment{t: t, dir: t.TempDir(), redis: server, gateway: gateway, rdb: server.Client(server.AsUser)}
	token := "Bearer " + x.secret("otlp", "oT3lpQw/zx-Kd9v")
	x.trace = newCollector(t, token)
	x.env = []string{"OTEL_EXPORTER_OTLP_HEADERS=authorization=" + url.PathEscape(token), "OTEL_BSP_SCHEDULE_DELAY=100"}
	x.configure(web.URL)
	var err error
	if x.client, err = producer.New(x.rdb, producer.WithPollInterval(20*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.end)
	for _, name := range []string{"worker", "serve"} {
		x.listen[name] = freeAddress(t)
		x.process[name] = x.deployment.process(name, "--listen", x.listen[name], "--log-level", "debug")
	}
	for name, address := range x.listen {
		x.eventually(20*time.Second, name, func() bool { status, _ := x.readyz(address); return status == http.StatusOK })
	}
	x.eventually(20*time.Second, "a worker to serve every gateway", func() bool {
		accounts, err := x.client.Accounts(t.Context())
		return err == nil && len(accounts) == len(x.kinds)
	})
	return x
}

// The method "secret" adds a secret to the plants, and returns its value.
func (x *plantedRig) secret(name, value string) string {
	x.secrets[name] = value
	x.plants = append(x.plants, newPlant(secret, "secret "+name, value))
	return value
}

// The method "word" adds a text to the plants, and returns the text.
func (x *plantedRig) word(name, value string) string {
	x.plants = append(x.plants, newPlant(word, "text "+name, value))
	return value
}

// The method "configure" writes tuma.yaml and the files of secrets. The account at a gateway has the gateway's name.
func (x *plantedRig) configure(gateway string) {
	x.t.Helper()
	x.write("redis-url", x.deployment.redis.UserURL())
	var b strings.Builder
	fmt.Fprintf(&b, "redis: {url_file: redis-url}\ndefault_country: KE\nwindows: off\ntracing: {endpoint: '%s', sample: 1}\n", x.trace.url)
	fmt.Fprintf(&b, "webhooks:\n  crm: {url: '%s/hook', allow_private: true, secret_file: hook}\naccounts:\n", gateway)
	x.write("hook", "whsec_"+x.secret("webhook", "Hk4WqzXv7Lr2Pb9sNd3TfYgJ5mCe8uAo"))
	for i, k := range x.kinds {
		fmt.Fprintf(&b, "  %[1]s:\n    provider: %[1]s\n    base_url: %[2]s/%[1]s\n    sender: ACME\n    timeout: 1s\n    reconcile_for: 0s\n    callback_secret_file: callback-%[1]s\n", k.Name, gateway)
		x.write("callback-"+k.Name, x.secret("callback "+k.Name, fmt.Sprintf("cB%dvq.Zt~x8_Wk-%dJ", i, i)))
		for _, field := range k.Login() {
			if strings.Contains(field, "user") {
				fmt.Fprintf(&b, "    %s: demo\n", field)
				continue
			}
			fmt.Fprintf(&b, "    %s_file: %s-%s\n", field, k.Name, field)
			x.write(k.Name+"-"+field, x.secret(k.Name+" "+field, fmt.Sprintf("pQ%dz&/ w+V=tS%dy", i, i)))
		}
	}
	x.yaml = b.String()
	x.write("tuma.yaml", x.yaml)
}

// The method "run" runs a command and keeps its output in the map "said". The parameter "where" is the key. The
// method "sources" reads the output by this key.
func (x *plantedRig) run(where string, args ...string) string {
	x.t.Helper()
	out, errOut, _ := x.tuma(args...)
	x.said[where] = append(x.said[where], out, errOut)
	return out
}

// The method "ask" sends a request to the API and keeps the answer. It keeps answers with a status of 400 or more
// separately, as problems.
func (x *plantedRig) ask(key, method, path, body string, want int) map[string]any {
	x.t.Helper()
	req, err := http.NewRequestWithContext(x.t.Context(), method, "http://"+x.listen["serve"]+path, strings.NewReader(body))
	if err != nil {
		x.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	if resp.StatusCode != want {
		x.t.Errorf("%s %s: got status %d and %s, want %d", method, path, resp.StatusCode, text, want)
	}
	where := "answers of the API"
	if resp.StatusCode >= http.StatusBadRequest {
		where = "problems of the API"
	}
	x.said[where] = append(x.said[where], fmt.Sprint(resp.Header), string(text))
	var out map[string]any
	_ = json.Unmarshal(text, &out) // an answer without a body has no fields
	return out
}

// The method "call" posts a callback, and keeps the answer.
func (x *plantedRig) call(path string, form url.Values, want int) {
	x.t.Helper()
	resp, err := http.PostForm("http://"+x.listen["serve"]+path, form)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	if resp.StatusCode != want {
		x.t.Errorf("callback %s: got status %d, want %d", path, resp.StatusCode, want)
	}
	x.said["answers to callbacks"] = append(x.said["answers to callbacks"], fmt.Sprint(resp.Header), string(text))
}

// doorOf returns the path of an account's callbacks.
func (x *plantedRig) doorOf(account, kind string) string {
	return "/callbacks/" + account + "/" + url.PathEscape(x.secrets["callback "+account]) + "/" + kind
}
