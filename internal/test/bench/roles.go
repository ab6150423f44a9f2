//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/worker"
)

// roles maps each permitted first argument of the bench to a function. The names api, file, flow,
// messages, optout, personal, reports and tracing are measurements. The other names are for the
// processes that the bench starts from its own binary.
var roles = map[string]func(context.Context, []string) error{
	"flow": flowRole, "personal": personalRole, "bare-personal": barePersonalRole,
	"sandbox": sandboxRole, "bare": bareRole, "producer": producerRole, "worker": workerRole, "results": resultsRole,
	"file": fileRole, "copy": copyRole, "optout": optOutRole, "reports": reportsRole, "api": apiRole, "parse": parseRole,
	"tracing": tracingRole, "messages": messagesRole, "message-producer": messageProducerRole, "message-worker": messageWorkerRole,
}

const body = "Dear customer, your statement is ready. Reply STOP to opt out."

func sandboxRole(ctx context.Context, args []string) error {
	s := catalog.Simulate(simulator.Options{NoCount: true})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() {
		<-ctx.Done()
		s.Close()
		_ = srv.Close() // this ends Serve, and then the process ends
	}()
	if err := os.WriteFile(args[0], []byte("http://"+l.Addr().String()), 0o600); err != nil {
		return err
	}
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// recipients yields the recipients of a CSV. The second column has the numbers. If "fields" is true,
// each recipient has one merge field, called "name", with the value of the first column.
func recipients(file string, fields bool) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		values := map[string]string{}
		err := rows(file, func(rec []string) bool {
			r := producer.Recipient{Number: rec[1]}
			if fields {
				values["name"] = rec[0]
				r.Fields = values
			}
			return yield(r, nil)
		})
		if err != nil {
			yield(producer.Recipient{}, err)
		}
	}
}

// bareRole is the bare loop. It has no queue and no ledger, and does not retry.
func bareRole(ctx context.Context, args []string) error {
	base, file, out, concurrency := args[1], args[2], args[3], atoi(args[4])
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: concurrency}}
	calls := make(chan []string)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	for range concurrency {
		wg.Go(func() {
			for to := range calls {
				lines, err := barePost(ctx, client, base, body, to)
				mu.Lock()
				if err != nil {
					failed = err
				}
				for _, l := range lines {
					_, _ = w.WriteString(l) // an error is returned by Flush below
				}
				mu.Unlock()
			}
		})
	}
	var to []string
	for r, err := range recipients(file, false) {
		if err != nil {
			return err
		}
		if to = append(to, "254"+r.Number[1:]); len(to) == 500 {
			calls <- to
			to = nil
		}
	}
	if len(to) > 0 {
		calls <- to
	}
	close(calls)
	wg.Wait()
	return errors.Join(failed, w.Flush(), f.Close())
}

func barePost(ctx context.Context, client *http.Client, base, text string, to []string) ([]string, error) {
	form := url.Values{"user": {"demo"}, "pass": {"demopass"}, "from": {"ACME"}, "msg": {text}, "type": {"0"}, "enable_msg_id": {"1"},
		"message_uuid": {uuid.NewString()}, "to": {strings.Join(to, ",")}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/send/", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	lines := make([]string, 0, len(to))
	for entry := range bytes.SplitSeq(answer, []byte("~")) {
		number, id, ok := bytes.Cut(entry, []byte(","))
		if !ok {
			return nil, fmt.Errorf("the sandbox answered %.40q, must be NUMBER,ID entries", answer)
		}
		lines = append(lines, string(number)+","+string(id)+"\n")
	}
	if len(lines) != len(to) {
		return nil, fmt.Errorf("the sandbox answered with %d message IDs for %d recipients, must be one for each", len(lines), len(to))
	}
	return lines, nil
}

func producerRole(ctx context.Context, args []string) error {
	rdb, err := dial(args[1])
	if err != nil {
		return err
	}
	defer rdb.Close()
	var count redisCount
	rdb.AddHook(&count)
	c, err := producer.New(rdb)
	if err != nil {
		return err
	}
	campaign := producer.Campaign{ID: args[3], Via: "main", From: "ACME", Body: body}
	if args[4] == "1" {
		campaign = personalCampaign(args[3])
	}
	if _, err = c.Enqueue(ctx, campaign, recipients(args[2], args[4] == "1")); err != nil || args[5] == "" {
		return err
	}
	return count.note(args[5] + ".producer")
}

func workerRole(ctx context.Context, args []string) error {
	rdb, err := dial(args[1])
	if err != nil {
		return err
	}
	defer rdb.Close()
	var count redisCount
	rdb.AddHook(&count)
	concurrency := atoi(args[3])
	s := providers.Settings{Endpoint: providers.Endpoint{BaseURL: args[2], Concurrency: concurrency, MaxRecipients: atoi(args[4])}}
	kind, _ := catalog.Lookup(measured)
	kind.LogIn(&s, "demo", "demopass")
	p, err := kind.Open(s)
	if err != nil {
		return err
	}
	if file := os.Getenv("BENCH_CPUPROFILE"); file != "" {
		f, err := os.Create(file)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	w, err := worker.New(worker.Config{Redis: rdb, Country: "KE", UnsafeRedis: true,
		Logger:   zerolog.New(os.Stderr).Level(zerolog.ErrorLevel),
		Accounts: []worker.Account{{Name: "main", Provider: p, Concurrency: concurrency}}})
	if err != nil {
		return err
	}
	if err := w.Run(ctx); err != nil || args[5] == "" {
		return err
	}
	return count.note(args[5] + ".worker")
}

// resultsRole writes the results of a campaign as CSV.
func resultsRole(ctx context.Context, args []string) error {
	rdb, err := dial(args[1])
	if err != nil {
		return err
	}
	defer rdb.Close()
	c, err := producer.New(rdb)
	if err != nil {
		return err
	}
	f, err := os.Create(args[3])
	if err != nil {
		return err
	}
	w := csv.NewWriter(bufio.NewWriterSize(f, 1<<16))
	for r, err := range c.Results(ctx, args[2]) {
		if err != nil {
			return err
		}
		if err := w.Write([]string{r.MSISDN, r.Status, r.MessageID}); err != nil {
			return err
		}
	}
	w.Flush()
	return errors.Join(w.Error(), f.Close())
}

func dial(redisURL string) (*redis.Client, error) {
	o, err := redis.ParseURL(redisURL)
	if err != nil {
		return nil, err
	}
	return redis.NewClient(o), nil
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 1
	}
	return n
}
