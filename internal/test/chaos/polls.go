//go:build unix

package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// isPoll reports whether a request to a gateway asks for delivery reports. text is the request's query and body.
func isPoll(gateway, path string, text []byte) bool {
	switch gateway {
	case "kobo":
		return strings.HasSuffix(path, "/api/report/")
	case "textconnect":
		return bytes.Contains(text, []byte("Action=CheckMessageStatus")) || bytes.Contains(text, []byte("Action=Report")) && bytes.Contains(text, []byte("ReportType=Messages"))
	}
	return false
}

// pollLog records when requests for delivery reports arrived at the gateways. Safe for concurrent use.
type pollLog struct {
	mu    sync.Mutex
	times map[string][]time.Time // by gateway
}

func (p *pollLog) add(gateway string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.times == nil {
		p.times = map[string][]time.Time{}
	}
	p.times[gateway] = append(p.times[gateway], at)
}

// busiest returns how many requests arrived at a gateway, and the largest number of requests within any second.
func (p *pollLog) busiest(gateway string) (all, inSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	times := p.times[gateway]
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= time.Second {
			first++
		}
		inSecond = max(inSecond, i-first+1)
	}
	return len(times), inSecond
}

// The method "check" returns the broken promises: gateways that got more requests in a second than report_rate
// allows. The budget has no burst.
func (p *pollLog) check() (breaches []string) {
	for _, name := range polled {
		if _, most := p.busiest(name); most > reportRate {
			breaches = append(breaches, fmt.Sprintf("%s: %d requests for delivery reports arrived within one second; report_rate allows %d", name, most, reportRate))
		}
	}
	return breaches
}
