package worker_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/worker"
)

// printer is a gateway that prints the messages which it receives. A real service uses a package
// under github.com/tuma-sms/tuma/providers instead.
type printer struct{}

// Info returns the facts of the gateway. Fingerprint identifies the login.
func (printer) Info() providers.Info {
	return providers.Info{Name: "printer", Fingerprint: "printer", MaxRecipients: 100, SenderAlphaMax: 11}
}

// Send accepts every recipient.
func (printer) Send(_ context.Context, b providers.Batch) ([]providers.Result, error) {
	results := make([]providers.Result, len(b.To))
	for i, to := range b.To {
		fmt.Printf("%s to %s: %s\n", b.From, to, b.Body)
		results[i] = providers.Result{Outcome: providers.Accepted, MessageID: "id-" + to.String()}
	}
	return results, nil
}

// This service embeds a worker: it makes an account from a provider and runs the worker until a
// context ends. Then it waits until the worker has drained.
func Example() {
	server, err := miniredis.Run() // your service connects to a real Redis
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer rdb.Close()

	w, err := worker.New(worker.Config{
		Redis:       rdb,
		UnsafeRedis: true, // only for this example: its embedded Redis loses all data when it stops
		Country:     "KE",
		Accounts:    []worker.Account{{Name: "main", Provider: printer{}, Sender: "ACME"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for w.Ready(ctx) != nil {
		select {
		case err := <-ended: // the worker could not start
			fmt.Println(err)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}

	client, err := producer.New(rdb) // usually in another process
	if err != nil {
		fmt.Println(err)
		return
	}
	campaign := producer.Campaign{ID: "order-1234", Via: "main", Body: "Your order is on its way."}
	if _, err := client.Enqueue(ctx, campaign, producer.Numbers("0712 345 678")); err != nil {
		fmt.Println(err)
		return
	}
	status, err := client.Wait(ctx, "order-1234")
	fmt.Println("accepted:", status.Accepted, err)

	stop() // drain: finish the calls in flight, claim nothing more
	fmt.Println("drained:", <-ended)
	// Output:
	// ACME to 254712345678: Your order is on its way.
	// accepted: 1 <nil>
	// drained: <nil>
}

// This worker has two accounts at one gateway, with routes, sending hours and durable claims. New
// checks the whole configuration without connecting to Redis.
func ExampleNew() {
	open := func(user, pass string) providers.Provider {
		p, err := kobo.New(kobo.Config{User: user, Pass: providers.Secret(pass)})
		if err != nil {
			fmt.Println(err)
		}
		return p
	}
	durability, err := worker.ParseDurability("replicas:1")
	if err != nil {
		fmt.Println(err)
		return
	}
	day, err := worker.ParseHours("08:00-20:00")
	if err != nil {
		fmt.Println(err)
		return
	}
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer rdb.Close()
	_, err = worker.New(worker.Config{
		Redis: rdb,
		Accounts: []worker.Account{
			{Name: "promo", Provider: open("acme-promo", "secret"), Rate: 100, Sender: "ACME", Price: "2.50 NGN"},
			{Name: "spare", Provider: open("acme-spare", "secret"), Rate: 20, Sender: "ACME"},
		},
		Routes:     []worker.Route{{Match: "234", Via: []string{"promo", "spare"}}},
		Country:    "NG",
		Windows:    map[string]worker.Hours{"NG": day},
		Durability: durability,
	})
	fmt.Println(err)
	_, err = worker.New(worker.Config{Redis: rdb, Accounts: []worker.Account{{Name: "no spaces"}}})
	fmt.Println(err != nil)
	// Output:
	// <nil>
	// true
}

// The first interrupt drains the worker. If Redis does not answer, the second interrupt makes the
// worker stop waiting for Redis.
func ExampleWorker_Kill() { //nolint:testableexamples // it runs until it is interrupted
	rdb := redis.NewClient(&redis.Options{Addr: os.Getenv("REDIS")})
	defer rdb.Close()
	w, err := worker.New(worker.Config{Redis: rdb, Accounts: []worker.Account{{Name: "main", Provider: printer{}, Sender: "ACME"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	ctx, drain := context.WithCancel(context.Background())
	defer drain()
	go func() {
		<-interrupts
		drain()
		<-interrupts
		w.Kill()
	}()
	if err := w.Run(ctx); err != nil {
		fmt.Println(err)
	}
}

// The worker logs to your zerolog logger. A load balancer can use the HTTP handler to find out if
// the worker is ready.
func ExampleWorker_Ready() { //nolint:testableexamples // it needs a server and a Redis
	rdb := redis.NewClient(&redis.Options{Addr: os.Getenv("REDIS")})
	defer rdb.Close()
	w, err := worker.New(worker.Config{
		Redis:    rdb,
		Accounts: []worker.Account{{Name: "main", Provider: printer{}, Sender: "ACME"}},
		Logger:   zerolog.New(os.Stderr).Level(zerolog.InfoLevel).With().Timestamp().Logger(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	http.HandleFunc("/ready", func(rw http.ResponseWriter, r *http.Request) {
		if err := w.Ready(r.Context()); err != nil {
			http.Error(rw, err.Error(), http.StatusServiceUnavailable)
		}
	})
}
