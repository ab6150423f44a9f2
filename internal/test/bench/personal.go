//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/producer"
)

// template is the text of the messages, with a merge field.
const template = "Dear {{name}}, your statement is ready. Reply STOP to opt out."

// minShare is the minimum of personalRound.share. The share is Tuma's rate in messages a second, divided by the rate
// of the bare loop.
const minShare = 0.4

// personalRole compares Tuma with a bare loop, for personalized messages with one message in
// each call. Both use the same sandbox, wire format and number of calls in flight. The exit
// status is 1 if Tuma's share of the bare loop's messages a second is below minShare.
//
//	go run ./internal/test/bench personal -n 100000 -rounds 3
func personalRole(ctx context.Context, args []string) error {
	o := options{pollInterval: 25 * time.Millisecond}
	f := flag.NewFlagSet("bench personal", flag.ContinueOnError)
	f.IntVar(&o.n, "n", 100_000, "recipients")
	f.IntVar(&o.rounds, "rounds", 3, "number of rounds")
	f.IntVar(&o.concurrency, "concurrency", 16, "calls in flight, for Tuma and for the bare loop")
	f.BoolVar(&o.aof, "aof", true, "run redis with an append-only file (everysec), as production needs")
	if err := f.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tuma-personal-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.dir = dir
	file := filepath.Join(dir, "recipients.csv")
	if err := writeRecipients(file, o.n); err != nil {
		return err
	}
	var rounds []personalRound
	for i := range o.rounds {
		var r personalRound
		if r.bare, err = barePersonal(ctx, o, file); err != nil {
			return fmt.Errorf("bare loop: %w", err)
		}
		if err := tumaPersonal(ctx, o, file, &r); err != nil {
			return fmt.Errorf("tuma: %w", err)
		}
		fmt.Printf("round %d: bare %.2f s, tuma %.2f s, share of the bare loop's speed %.2f\n", i+1, r.bare.wall.Seconds(), r.tuma.wall.Seconds(), r.share())
		rounds = append(rounds, r)
	}
	return reportPersonal(o, rounds)
}

// personalRound has the figures of one run of the bare loop and of one run of Tuma.
type personalRound struct {
	bare, tuma figures
	// The field "sent" is the number of commands that Tuma's processes sent to Redis. The field "ran" is the
	// number of commands that Redis ran, including commands inside scripts.
	sent, ran int64
}

// The method "share" returns Tuma's rate in messages a second, divided by the rate of the bare loop.
func (r personalRound) share() float64 { return r.bare.wall.Seconds() / r.tuma.wall.Seconds() }

// withSandbox starts a sandbox, calls the function do() with the URL of the sandbox, and returns the sandbox's
// CPU time.
func withSandbox(ctx context.Context, o options, do func(url string) error) (time.Duration, error) {
	note := filepath.Join(o.dir, "sandbox.addr")
	if err := os.RemoveAll(note); err != nil {
		return 0, err
	}
	gateway, err := startRole("sandbox", note)
	if err != nil {
		return 0, err
	}
	defer gateway.end()
	url, err := gateway.address(ctx)
	if err != nil {
		return 0, err
	}
	if err := do(url); err != nil {
		return 0, err
	}
	gateway.end()
	cpu, _ := gateway.usage()
	return cpu, nil
}

func barePersonal(ctx context.Context, o options, file string) (f figures, err error) {
	f.sandboxCPU, err = withSandbox(ctx, o, func(url string) error {
		begun := time.Now()
		p, err := startRole("bare-personal", "", url, file, filepath.Join(o.dir, "bare.csv"), strconv.Itoa(o.concurrency))
		if err != nil {
			return err
		}
		if err := p.Wait(); err != nil {
			return err
		}
		f.wall = time.Since(begun)
		f.cpu, f.workerPeak = p.usage()
		return ctx.Err()
	})
	return f, err
}

func tumaPersonal(ctx context.Context, o options, file string, round *personalRound) error {
	r, err := startRedis(ctx, o)
	if err != nil {
		return err
	}
	defer r.end()
	var f figures
	cpu, err := withSandbox(ctx, o, func(url string) error {
		commands := filepath.Join(o.dir, "commands")
		f, err = runTuma(ctx, o, url, file, r, "personal", "1", commands)
		if err != nil {
			return err
		}
		if round.ran, err = commandsRun(ctx, r.client); err != nil {
			return err
		}
		round.sent, err = commandsSent(commands)
		return err
	})
	f.sandboxCPU = cpu
	round.tuma = f
	return err
}

// commandsRun returns how many commands a Redis has run, including commands inside scripts.
func commandsRun(ctx context.Context, rdb *redis.Client) (n int64, err error) {
	m, err := rdb.InfoMap(ctx, "commandstats").Result()
	if err != nil {
		return 0, err
	}
	for name, v := range m["Commandstats"] {
		if name == "cmdstat_info" {
			continue // do not count INFO, because only the bench sends it
		}
		calls, _, _ := strings.Cut(strings.TrimPrefix(v, "calls="), ",")
		k, err := strconv.ParseInt(calls, 10, 64)
		if err != nil {
			return 0, err
		}
		n += k
	}
	return n, nil
}

// commandsSent returns the sum of the counts that the processes of a round have written to files.
// The names of these files begin with the parameter "note".
func commandsSent(note string) (n int64, err error) {
	files, err := filepath.Glob(note + "*")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		k, err := strconv.ParseInt(string(b), 10, 64)
		if err != nil {
			return 0, err
		}
		n += k
	}
	return n, errors.Join(err, os.RemoveAll(note))
}

// redisCount is a hook that counts the commands and the round trips of a Redis client.
type redisCount struct{ commands, trips atomic.Int64 }

// DialHook implements redis.Hook.
func (c *redisCount) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook. It counts one command and one round trip.
func (c *redisCount) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.commands.Add(1)
		c.trips.Add(1)
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook. It counts the commands of a pipeline and one round trip.
func (c *redisCount) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.commands.Add(int64(len(cmds)))
		c.trips.Add(1)
		return next(ctx, cmds)
	}
}

// The method "note" writes the number of commands to a file.
func (c *redisCount) note(file string) error {
	return os.WriteFile(file, []byte(strconv.FormatInt(c.commands.Load(), 10)), 0o600)
}

// barePersonalRole is the bare loop for personalized messages. For each row, it renders the
// text and makes a POST.
func barePersonalRole(ctx context.Context, args []string) error {
	base, file, out, concurrency := args[1], args[2], args[3], atoi(args[4])
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: concurrency}}
	type message struct{ to, text string }
	messages := make(chan message, concurrency)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	for range concurrency {
		wg.Go(func() {
			for m := range messages {
				lines, err := barePost(ctx, client, base, m.text, []string{m.to})
				mu.Lock()
				if err != nil {
					failed = err
				} else {
					_, _ = w.WriteString(lines[0]) // an error is returned by Flush below
				}
				mu.Unlock()
			}
		})
	}
	err = rows(file, func(rec []string) bool {
		messages <- message{"254" + rec[1][1:], strings.ReplaceAll(template, "{{name}}", rec[0])}
		return true
	})
	close(messages)
	wg.Wait()
	return errors.Join(err, failed, w.Flush(), f.Close())
}

// The function "rows" reads a CSV and calls the function "do" for each row after the header, until
// "do" returns false.
func rows(file string, do func([]string) bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	r := csv.NewReader(bufio.NewReaderSize(f, 1<<16))
	r.ReuseRecord = true
	for first := true; ; first = false {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !first && !do(rec) {
			return nil
		}
	}
}

func reportPersonal(o options, rounds []personalRound) error {
	var bare, tuma []figures
	var shares, sent, ran []float64
	for _, r := range rounds {
		bare, tuma = append(bare, r.bare), append(tuma, r.tuma)
		shares = append(shares, r.share())
		sent = append(sent, float64(r.sent)/float64(o.n))
		ran = append(ran, float64(r.ran)/float64(o.n))
	}
	for _, v := range [][]float64{shares, sent, ran} {
		slices.Sort(v)
	}
	n, mid := float64(o.n), len(rounds)/2
	wall := func(f figures) time.Duration { return f.wall }
	b, t := median(bare, wall).Seconds(), median(tuma, wall).Seconds()
	cpu := func(all []figures, of func(figures) time.Duration) float64 { return median(all, of).Seconds() }
	peak := int64(0)
	for _, f := range tuma {
		peak = max(peak, f.redisPeak-f.redisIdle)
	}
	fmt.Printf("\n%d messages, one a call, %d calls in flight, append-only file %v, medians of %d rounds\n", o.n, o.concurrency, o.aof, o.rounds)
	fmt.Printf("  bare loop            %6.2f s   %6.0f a second   %6.2f CPU-s + sandbox %.2f\n", b, n/b,
		cpu(bare, func(f figures) time.Duration { return f.cpu }), cpu(bare, func(f figures) time.Duration { return f.sandboxCPU }))
	fmt.Printf("  tuma, CSV to done    %6.2f s   %6.0f a second   %6.2f CPU-s + sandbox %.2f\n", t, n/t,
		cpu(tuma, func(f figures) time.Duration { return f.cpu }), cpu(tuma, func(f figures) time.Duration { return f.sandboxCPU }))
	fmt.Printf("    producer %.2f s, %.2f CPU-s; worker %.2f CPU-s; redis %.2f CPU-s, peak %.0f bytes a message\n",
		median(tuma, func(f figures) time.Duration { return f.enqueued }).Seconds(),
		cpu(tuma, func(f figures) time.Duration { return f.producerCPU }), cpu(tuma, func(f figures) time.Duration { return f.workerCPU }),
		cpu(tuma, func(f figures) time.Duration { return f.redisCPU }), float64(peak)/n)
	fmt.Printf("    commands to redis    %6.2f a message; including those in scripts %.2f\n", sent[mid], ran[mid])
	fmt.Printf("  share of the bare loop %6.2f   (target: at least %.1f)\n", shares[mid], minShare)
	if shares[mid] < minShare {
		return fmt.Errorf("%.2f of the bare loop's messages a second, must be at least %.1f", shares[mid], minShare)
	}
	return nil
}

// personalCampaign returns the campaign of personalized messages that Tuma sends.
func personalCampaign(id string) producer.Campaign {
	return producer.Campaign{ID: id, Via: "main", From: "ACME", Body: template}
}
