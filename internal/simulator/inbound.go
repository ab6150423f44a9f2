package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Incoming is a message that a subscriber sends to a number of the account.
type Incoming struct {
	ID, From, To, Text string
	At                 time.Time
}

// Forwarded is the request with which a gateway forwards an incoming message.
type Forwarded struct {
	// Method is GET or POST. With GET the form is in the query, and with POST in the body.
	Method string
	// Form is the form as a URL-encoded string, such as "from=254711000001&text=STOP".
	Form string
}

// Forwarder is implemented by a Vendor that forwards incoming messages to a URL.
type Forwarder interface {
	// Forward returns the request for a message. It is safe for concurrent use.
	Forward(m Incoming) Forwarded
}

const (
	// forwardTries is the maximum number of posts of one message until the URL answers 2xx. forwardPause is the
	// time between two posts.
	forwardTries = 100
	forwardPause = 100 * time.Millisecond
	forwarders   = 8
	maxCopies    = 10
)

// forwardResult is the answer to POST /_sandbox/inbound.
type forwardResult struct {
	// Messages is the number of messages in the script. The other fields count requests. Taken counts the
	// requests that got a 2xx. Refused counts the requests that got a 4xx. Lost counts the requests that got no
	// 2xx in any of their tries. Repeated counts the tries that got a 5xx or no answer.
	Messages, Taken, Refused, Lost, Repeated int
}

// controlInbound forwards the messages of a script to a URL. The form field "copies" sets the number of posts of each
// message. The form field "seed" determines the order. controlInbound returns when all posts have been answered.
func (s *Server) controlInbound(w http.ResponseWriter, r *http.Request, d *Gateway) {
	requests, count, err := inboundRequests(r, d)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	result := forwardAll(r.Context(), r.PostFormValue("url"), requests)
	result.Messages = count
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(result)
}

// inboundRequests reads the script of POST /_sandbox/inbound. The result "count" is the number of messages in the
// script.
func inboundRequests(r *http.Request, d *Gateway) (requests []Forwarded, count int, err error) {
	if d == nil {
		return nil, 0, errors.New("gateway is missing")
	}
	forwarder, ok := d.vendor.(Forwarder)
	if !ok {
		return nil, 0, fmt.Errorf("%s does not forward messages", d.state.name)
	}
	if url := r.PostFormValue("url"); !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		return nil, 0, errors.New("url must be the URL to which messages are forwarded, such as http://127.0.0.1:8090/callbacks/at/SECRET/inbound")
	}
	copies, err := number(r, "copies", 1, maxCopies)
	if err != nil {
		return nil, 0, err
	}
	seed, err := number(r, "seed", 0, 1<<31)
	if err != nil {
		return nil, 0, err
	}
	script := r.PostFormValue("messages")
	if script == "" {
		script = r.PostFormValue("from") + " " + r.PostFormValue("to") + " " + r.PostFormValue("text")
	}
	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		from, rest, _ := strings.Cut(line, " ")
		to, text, ok := strings.Cut(rest, " ")
		if !ok || from == "" || to == "" {
			return nil, 0, fmt.Errorf("message %d must be FROM TO TEXT", count+1)
		}
		count++
		f := forwarder.Forward(Incoming{ID: run + "-" + strconv.Itoa(count), From: from, To: to, Text: text, At: time.Now()})
		for range copies {
			requests = append(requests, f)
		}
	}
	if seed > 0 {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		random.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	}
	return requests, count, nil
}

// The function "number" reads an integer from the form. The default is the parameter "least".
func number(r *http.Request, name string, least, most int) (int, error) {
	text := r.PostFormValue(name)
	if text == "" {
		return least, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s must be an integer from %d to %d", name, least, most)
	}
	return n, nil
}

// forwardAll sends the requests, several at once, until each has a final answer or ctx ends.
func forwardAll(ctx context.Context, url string, requests []Forwarded) (total forwardResult) {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: forwarders}}
	defer client.CloseIdleConnections()
	next := make(chan Forwarded)
	var group sync.WaitGroup
	var mu sync.Mutex
	for range forwarders {
		group.Go(func() {
			for f := range next {
				status, tries := forward(ctx, client, url, f)
				mu.Lock()
				switch {
				case status/100 == 2:
					total.Taken++
				case status/100 == 4:
					total.Refused++
				default:
					total.Lost++
				}
				total.Repeated += tries - 1
				mu.Unlock()
			}
		})
	}
	for _, f := range requests {
		next <- f
	}
	close(next)
	group.Wait()
	return total
}

// The function "forward" repeats a request until the answer has a status below 500. It returns the number of tries
// and the last status, which is 0 if the last try got no answer.
func forward(ctx context.Context, client *http.Client, url string, f Forwarded) (status, tries int) {
	for tries = 1; ; tries++ {
		status = forwardOnce(ctx, client, url, f)
		if status != 0 && status < http.StatusInternalServerError || tries == forwardTries {
			return status, tries
		}
		select {
		case <-ctx.Done():
			return status, tries
		case <-time.After(forwardPause):
		}
	}
}

func forwardOnce(ctx context.Context, client *http.Client, url string, f Forwarded) int {
	target, body := url, io.Reader(strings.NewReader(f.Form))
	if f.Method == http.MethodGet {
		target, body = url+"?"+f.Form, nil
	}
	req, err := http.NewRequestWithContext(ctx, f.Method, target, body)
	if err != nil {
		return 0
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	_ = resp.Body.Close()
	return resp.StatusCode
}
