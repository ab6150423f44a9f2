package ratelimit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/ratelimit"
)

// Reserve returns the wait of each call. A call larger than the burst is granted at once, and
// later calls wait until the bucket has refilled at the rate.
func ExampleLocal() {
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	limiter, err := ratelimit.NewLocal(50, 5, func() time.Time { return noon })
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, n := range []int{5, 1, 100, 1} {
		wait, ok, err := limiter.Reserve(context.Background(), n, time.Second)
		fmt.Println(n, wait, ok, err)
	}
	// Output:
	// 5 0s true <nil>
	// 1 20ms true <nil>
	// 100 120ms true <nil>
	// 1 1.04s false <nil>
}

// A one-time code need not wait until the whole debt of a large bulk call is paid off.
func ExampleLocal_Transactional() {
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	bulk, err := ratelimit.NewLocal(50, 5, func() time.Time { return noon })
	if err != nil {
		fmt.Println(err)
		return
	}
	codes := bulk.Transactional()
	fmt.Println(bulk.Reserve(context.Background(), 500, time.Second))
	fmt.Println(codes.Reserve(context.Background(), 1, time.Second))
	fmt.Println(bulk.Reserve(context.Background(), 1, time.Second))
	// Output:
	// 0s true <nil>
	// 100ms true <nil>
	// 8.94s false <nil>
}

// Two workers share one account, and one of them returns a reservation that it cannot use.
func ExampleRedis() {
	server, err := miniredis.Run()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer rdb.Close()

	var workers [2]*ratelimit.Redis
	for i := range workers {
		if workers[i], err = ratelimit.NewRedis(rdb, "tuma:{kobo-main}:rate", ratelimit.Rate(0.1), 1); err != nil {
			fmt.Println(err)
			return
		}
	}
	ctx := context.Background()
	reserve := func(worker int) (turn time.Time) {
		wait, ok, err := workers[worker].Reserve(ctx, 1, time.Minute)
		fmt.Println("worker", worker, wait.Round(time.Second), ok, err)
		return time.Now().Add(wait)
	}
	reserve(0)
	turn := reserve(1)
	// Worker 1 does not need its tokens, because the campaign was cancelled meanwhile.
	fmt.Println("given back:", workers[1].Return(ctx, 1, time.Until(turn)))
	reserve(0)
	reserve(0)
	// Output:
	// worker 0 0s true <nil>
	// worker 1 10s true <nil>
	// given back: <nil>
	// worker 0 10s true <nil>
	// worker 0 20s true <nil>
}

func ExampleParseRate() {
	for _, s := range []string{"50/s", "600/m", "0", "50"} {
		rate, err := ratelimit.ParseRate(s)
		fmt.Println(rate, ratelimit.DefaultBurst(rate), err)
	}
	// Output:
	// 50/s 5 <nil>
	// 10/s 1 <nil>
	// 0 1 <nil>
	// 0 1 parse rate "50": write N/s or N/m, or 0 for no limit
}
