//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// turn is a grant of the limiter. It has the moment, by Redis' clock, from which a call may use n tokens.
type turn struct {
	at time.Time
	n  int
}

// The type "turns" collects the grants of an account's limiter. It reads the grants from the command MONITOR of
// Redis, so the test can use the unchanged image of the release. Its methods are safe for concurrent use.
type turns struct {
	mu   sync.Mutex
	all  []turn
	asks *request
	last map[string]bucket
}

// request is a call of reserve.lua that has not written its bucket yet.
type request struct {
	key string
	n   int
}

// bucket has two fields of the limiter's bucket, in microseconds.
type bucket struct{ at, booked int64 }

// The method "watch" records the commands of a Redis until the connection closes. It returns as soon as Redis
// has begun to send these commands. The result "end" closes the connection.
func (t *turns) watch(ctx context.Context, address string) (end func() error, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	t.last = map[string]bucket{}
	lines := bufio.NewReaderSize(conn, 1<<20)
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		return nil, err
	}
	if answer, err := lines.ReadString('\n'); err != nil || answer != "+OK\r\n" {
		return nil, fmt.Errorf("MONITOR: %q %w", answer, err)
	}
	go func() {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			t.command(line)
		}
	}()
	return conn.Close, nil
}

// The method "command" reads a line of MONITOR. Redis shows a script before the commands that the script runs.
func (t *turns) command(line string) {
	_, text, ok := strings.Cut(line, "] ")
	if !ok {
		return
	}
	args := words(text)
	if len(args) < 4 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch name := strings.ToUpper(args[0]); {
	case strings.HasPrefix(name, "EVAL"):
		t.asks = nil
		keys, err := strconv.Atoi(args[2])
		if err != nil || keys < 1 || len(args) < 3+keys+4 || args[3+keys] != "reserve" {
			return
		}
		n, err := strconv.Atoi(args[3+keys+3])
		if err == nil {
			t.asks = &request{key: args[3], n: n}
		}
	case name == "HSET" && args[2] == "at" && slices.Contains(args, "booked"):
		t.written(args)
	}
}

// The method "written" reads the bucket that the script writes. A grant changes the field "booked", the time of the
// last reserved turn, but a refusal does not change it.
func (t *turns) written(args []string) {
	fields := map[string]int64{}
	for i := 2; i+1 < len(args); i += 2 {
		fields[args[i]], _ = strconv.ParseInt(args[i+1], 10, 64)
	}
	now, before := bucket{fields["at"], fields["booked"]}, t.last[args[1]]
	t.last[args[1]] = now
	if t.asks == nil || t.asks.key != args[1] {
		return
	}
	if before.at == 0 || now.booked > before.booked-max(0, now.at-before.at) {
		t.all = append(t.all, turn{at: time.UnixMicro(now.at + now.booked), n: t.asks.n})
	}
	t.asks = nil
}

// The method "between" returns the grants whose turn is in a span of time.
func (t *turns) between(start, end time.Time) []turn {
	t.mu.Lock()
	all := slices.Clone(t.all)
	t.mu.Unlock()
	slices.SortStableFunc(all, func(a, b turn) int { return a.at.Compare(b.at) })
	return slices.DeleteFunc(all, func(g turn) bool { return g.at.Before(start) || !g.at.Before(end) })
}

// busiest returns the highest number of tokens in any span of one second. The turns must be in the order of time.
func busiest(all []turn) (most int) {
	sum, from := 0, 0
	for _, g := range all {
		sum += g.n
		for g.at.Sub(all[from].at) >= time.Second {
			sum -= all[from].n
			from++
		}
		most = max(most, sum)
	}
	return most
}

// The function "used" returns the share of a rate that the grants use, in the time from the first grant to the
// last. The turns must be in the order of time.
func used(all []turn, rate int) float64 {
	if len(all) < 2 {
		return 0
	}
	sum := 0
	for _, g := range all[1:] {
		sum += g.n
	}
	return float64(sum) / all[len(all)-1].at.Sub(all[0].at).Seconds() / float64(rate)
}

// The function "words" splits the quoted arguments of a line of MONITOR.
func words(text string) (out []string) {
	for text = strings.TrimSpace(text); strings.HasPrefix(text, `"`); text = strings.TrimLeft(text, " ") {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return nil
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil
		}
		out, text = append(out, word), text[len(quoted):]
	}
	return out
}
