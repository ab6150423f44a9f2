//go:build unix

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// optOutBytes is the maximum number of bytes that a number on a suppression list may use in
// Redis. 10,000,000 numbers then use 200 MB.
const optOutBytes = 20

// optOutRole measures a suppression list: its memory in Redis, and the time to import it, to
// export it and to look up 1,000,000 numbers. The exit status is 1 if a number uses more than
// optOutBytes, or if numbers are missing.
//
//	go run ./internal/test/bench optout -n 10000000
func optOutRole(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("bench optout", flag.ContinueOnError)
	n := f.Int("n", 10_000_000, "numbers")
	if err := f.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tuma-optout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := startRedis(ctx, options{dir: dir})
	if err != nil {
		return err
	}
	defer server.end()
	rdb := server.client
	client, err := producer.New(rdb)
	if err != nil {
		return err
	}
	before, err := server.used(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	r, err := client.OptOut(ctx, optedOut(*n))
	if err != nil {
		return err
	}
	took := time.Since(start)
	after, err := server.used(ctx)
	if err != nil {
		return err
	}
	each := float64(after-before) / float64(r.Added)
	fmt.Printf("%d numbers added in %.1f s; %.1f MB in Redis, %.1f bytes a number\n", r.Added, took.Seconds(), float64(after-before)/1e6, each)
	start, listed := time.Now(), 0
	for _, err := range client.OptOuts(ctx, "") {
		if err != nil {
			return err
		}
		listed++
	}
	fmt.Printf("%d listed in %.1f s\n", listed, time.Since(start).Seconds())
	if err := lookUpOptOuts(ctx, rdb, r.Added); err != nil {
		return err
	}
	if each > optOutBytes || listed != r.Added || r.Added != *n {
		return fmt.Errorf("%.1f bytes a number, must be at most %d; %d added and %d listed, must be %d", each, optOutBytes, r.Added, listed, *n)
	}
	return nil
}

// lookUpOptOuts looks up a million numbers of the list, and prints how long that takes.
func lookUpOptOuts(ctx context.Context, rdb *redis.Client, listed int) error {
	const pages = 1000
	lookup, found := optout.New(ledger.New(rdb).Runner()).NewLookup([]string{campaign.AllSenders}, map[string]int{campaign.AllSenders: listed}, pages*1000), 0
	start := time.Now()
	for p := range pages {
		page := make([]sms.MSISDN, 1000)
		for i := range page {
			page[i] = sms.MSISDN(firstOptedOut + uint64(p*1000+i)*7)
		}
		on, err := lookup.OptedOut(ctx, page)
		if err != nil {
			return err
		}
		found += len(on)
	}
	fmt.Printf("%d numbers looked up, 1,000 at a time, in %.2f s; %d were on the list\n", pages*1000, time.Since(start).Seconds(), found)
	return nil
}

// firstOptedOut is the first number on the list, a Kenyan number. spread is the distance from
// one number to the next. With this distance, 10,000,000 numbers cover all of the country's
// prefixes.
const (
	firstOptedOut = 254_700_000_000
	spread        = 9
)

func optedOut(n int) func(yield func(producer.OptOut, error) bool) {
	return func(yield func(producer.OptOut, error) bool) {
		for i := range n {
			if !yield(producer.OptOut{Number: "+" + sms.MSISDN(firstOptedOut+uint64(i)*spread%100_000_000).String(), Origin: producer.OriginImport}, nil) {
				return
			}
		}
	}
}
