//go:build unix

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/worker"
)

// messagesAMinute is the smallest permitted number of single messages that are enqueued and reach the gateway in a
// minute.
const messagesAMinute = 20_000

// messagesRole measures single messages of several producer processes. It measures how many messages a minute are
// enqueued, how many reach the gateway, the round trips, and the bytes in Redis for each message that is kept. The
// exit status is 1 if messagesAMinute is not reached.
//
//	go run ./internal/test/bench messages
func messagesRole(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("bench messages", flag.ContinueOnError)
	n := f.Int("n", messagesAMinute, "messages")
	producers := f.Int("producers", 8, "producer processes")
	if err := f.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tuma-messages-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := startRedis(ctx, options{dir: dir, aof: true})
	if err != nil {
		return err
	}
	defer server.end()
	gateway, err := newStampGateway(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = gateway.server.Close() }()
	w, err := startRole("message-worker", "", server.url, gateway.url)
	if err != nil {
		return err
	}
	defer w.end()
	c, err := producer.New(server.client)
	if err != nil {
		return err
	}
	if err := waitForAccount(ctx, c); err != nil {
		return err
	}
	if err := countTrips(ctx, server); err != nil { // after this step, Redis, worker and gateway have run all their code once
		return err
	}
	if err := gateway.await(ctx, 200); err != nil {
		return err
	}
	return measureMessages(ctx, server, gateway, *n, *producers)
}

// measureMessages starts the producers and prints the figures.
func measureMessages(ctx context.Context, server *redisServer, gateway *stampGateway, n, producers int) error {
	before, err := server.used(ctx)
	if err != nil {
		return err
	}
	begun := time.Now()
	var all []*child
	for i := range producers {
		p, err := startRole("message-producer", "", server.url, strconv.Itoa(1_000_000*(i+1)), strconv.Itoa(n/producers))
		if err != nil {
			return err
		}
		defer p.end()
		all = append(all, p)
	}
	for _, p := range all {
		if err := p.Wait(); err != nil {
			return fmt.Errorf("producer: %w", err)
		}
	}
	n = n / producers * producers
	enqueued := perMinute(n, time.Since(begun))
	fmt.Printf("%d messages of %d producers: %.0f a minute enqueued\n", n, producers, enqueued)
	if err := awaitAll(ctx, gateway, n+200); err != nil {
		return err
	}
	sent := perMinute(n, time.Since(begun))
	fmt.Printf("%.0f a minute at the gateway\n", sent)
	if err := settledMessages(ctx, server.client); err != nil {
		return err
	}
	after, err := server.used(ctx)
	if err != nil {
		return err
	}
	index := server.client.MemoryUsage(ctx, "tuma:open", 0).Val()
	fmt.Printf("%.0f bytes of Redis for each message that has ended; %.0f of them are gone minutes later, when the sweeper has left it\n",
		float64(after-before)/float64(n), float64(index)/float64(n))
	if sent < messagesAMinute {
		return fmt.Errorf("%.0f messages a minute at the gateway, must be at least %d", sent, messagesAMinute)
	}
	return nil
}

// awaitAll calls the method "await" until the gateway has n numbers. If no number arrives during one of these calls,
// awaitAll returns the error of this call.
func awaitAll(ctx context.Context, g *stampGateway, n int) error {
	for {
		before := g.count()
		if err := g.await(ctx, n); err == nil || g.count() == before || ctx.Err() != nil {
			return err
		}
	}
}

// The method "count" returns how many numbers have arrived.
func (g *stampGateway) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.times)
}

func perMinute(n int, took time.Duration) float64 { return float64(n) / took.Minutes() }

// settledMessages waits until the newest messages are archived, which is the last step.
func settledMessages(ctx context.Context, rdb *redis.Client) error {
	return poll(ctx, 2*time.Minute, "the end of the messages", func() (bool, error) {
		ids, err := rdb.ZRangeArgs(ctx, redis.ZRangeArgs{Key: "tuma:messages", Start: 0, Stop: 499, Rev: true}).Result()
		if err != nil {
			return false, err
		}
		archived := make([]*redis.IntCmd, len(ids))
		_, err = rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, id := range ids {
				archived[i] = p.Exists(ctx, "tuma:{"+id+"}:t")
			}
			return nil
		})
		for _, a := range archived {
			if a.Val() == 0 {
				return false, err
			}
		}
		return true, err
	})
}

// countTrips sends 200 messages, and prints the number of round trips for each message.
func countTrips(ctx context.Context, server *redisServer) error {
	rdb, err := dial(server.url)
	if err != nil {
		return err
	}
	defer rdb.Close()
	var count redisCount
	rdb.AddHook(&count)
	if err := sendMessages(ctx, rdb, 0, 200); err != nil {
		return err
	}
	fmt.Printf("%.2f round trips to Redis for each of 200 messages\n", float64(count.trips.Load())/200)
	return nil
}

// sendMessages sends n messages to consecutive phone numbers, beginning with the parameter "first".
func sendMessages(ctx context.Context, rdb *redis.Client, first, n int) error {
	c, err := producer.New(rdb)
	if err != nil {
		return err
	}
	for i := range n {
		m := producer.Message{Via: "main", To: fmt.Sprintf("+2547%08d", first+i), Body: "Your code is 123456."}
		if _, err := c.Send(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// messageProducerRole sends messages one after the other, like a program that handles one request at a time.
func messageProducerRole(ctx context.Context, args []string) error {
	rdb, err := dial(args[1])
	if err != nil {
		return err
	}
	defer rdb.Close()
	return sendMessages(ctx, rdb, atoi(args[2]), atoi(args[3]))
}

func messageWorkerRole(ctx context.Context, args []string) error {
	rdb, err := dial(args[1])
	if err != nil {
		return err
	}
	defer rdb.Close()
	s := providers.Settings{Endpoint: providers.Endpoint{BaseURL: args[2], Concurrency: 32}}
	kind, _ := catalog.Lookup("africastalking")
	kind.LogIn(&s, "demo", "demopass")
	p, err := kind.Open(s)
	if err != nil {
		return err
	}
	w, err := worker.New(worker.Config{Redis: rdb, Country: "KE", UnsafeRedis: true, Logger: zerolog.New(os.Stderr).Level(zerolog.ErrorLevel),
		Accounts: []worker.Account{{Name: "main", Provider: p, Sender: "ACME", Concurrency: 32}}})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}
