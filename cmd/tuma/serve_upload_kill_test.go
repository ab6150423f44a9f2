package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
)

// `tuma serve` is killed while it reads a long list. No part of the list is sent or stored. When the client repeats the
// request to another process, that process makes the campaign, and each recipient gets one message.
func TestServe_KilledInMidUpload(t *testing.T) {
	t.Parallel()
	const rows = 40_000
	h := newFixture(t, simulator.Options{}, redistest.WithAOF("always"))
	h.startWorker()
	s, files := launchServe(t, h)
	client, err := producer.New(h.redis.Client())
	if err != nil {
		t.Fatal(err)
	}
	// state returns the campaign's state, or "" if the campaign does not exist.
	state := func() producer.State {
		st, err := client.Status(t.Context(), "list")
		if err != nil && !errors.Is(err, producer.ErrNotFound) {
			t.Fatal(err)
		}
		return st.State
	}
	list := &strings.Builder{}
	list.WriteString("number\n")
	for i := range rows {
		fmt.Fprintf(list, "+%d\n", 254700000000+i)
	}
	whole := list.String()
	s.waitUntilReady()

	feed, ended := s.upload("list")
	if _, err := io.WriteString(feed, whole[:len(whole)*3/4]); err != nil {
		t.Fatal(err)
	}
	s.kill()
	_ = feed.CloseWithError(io.ErrUnexpectedEOF)
	if out := <-ended; out.err == nil {
		t.Fatalf("the upload to a killed process was answered with %d", out.status)
	}
	if n := s.gateway.Stats().Accepted; n != 0 || state() != "" {
		t.Errorf("%d messages of a list that was not uploaded went out, and its campaign is in the state %q", n, state())
	}
	if left, err := os.ReadDir(files); len(left) > 0 || err != nil {
		t.Errorf("the killed process has left files: %v (%v)", left, err)
	}

	s.launch()
	s.waitUntilReady()
	feed, ended = s.upload("list")
	_, err = io.WriteString(feed, whole)
	if err := errors.Join(err, feed.Close()); err != nil {
		t.Fatal(err)
	}
	if out := <-ended; out.err != nil || out.status != http.StatusAccepted {
		t.Fatalf("the same upload again was answered with %d (%v), want 202", out.status, out.err)
	}
	eventually(t, "the end of the campaign", func() bool { return state() == producer.Done })
	if st := h.status("list"); st.Accepted != rows || s.gateway.Stats().Accepted != rows || s.gateway.Stats().Duplicates != 0 {
		t.Errorf("got the status %+v and the gateway's counts %+v, want %d messages once each", st, s.gateway.Stats(), rows)
	}
	if all := s.campaigns(); len(all) != 1 {
		t.Errorf("there are %d campaigns, want 1", len(all))
	}
}

// launchServe starts `tuma serve` with a key that may send. The result "files" is the folder of its
// temporary files.
func launchServe(t *testing.T, h *fixture) (s *killedServe, files string) {
	t.Helper()
	key, _ := h.mustRun("keys", "create", "--name", "shop", "--scopes", "send")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = &killedServe{fixture: h, address: listener.Addr().String(), key: strings.TrimSpace(key)}
	_ = listener.Close()
	t.Cleanup(s.client.CloseIdleConnections)
	files = t.TempDir()
	h.env = append(h.env, "TMPDIR="+files)
	s.launch()
	t.Cleanup(func() { s.kill() })
	return s, files
}

// uploadEnd is the end of a request that uploads a list: the status of the response, or an error.
type uploadEnd struct {
	status int
	err    error
}

// upload begins a request that makes a campaign from a CSV file. The caller writes the file to the result "feed", and
// closes feed.
func (s *killedServe) upload(id string) (feed *io.PipeWriter, ended <-chan uploadEnd) {
	s.t.Helper()
	body, feed := io.Pipe()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.address+"/v1/campaigns?via=kobo-main&body=Sale&class=transactional", body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Idempotency-Key", id)
	req.Header.Set("Content-Type", "text/csv")
	out := make(chan uploadEnd, 1)
	go func() {
		res, err := s.client.Do(req)
		if err != nil {
			out <- uploadEnd{err: err}
			return
		}
		_, err = io.Copy(io.Discard, res.Body)
		out <- uploadEnd{res.StatusCode, errors.Join(err, res.Body.Close())}
	}()
	return feed, out
}

// waitUntilReady returns when the process answers requests.
func (s *killedServe) waitUntilReady() {
	s.t.Helper()
	eventually(s.t, "serve to listen", func() bool {
		res, err := s.client.Get("http://" + s.address + "/healthz")
		return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
	})
}
