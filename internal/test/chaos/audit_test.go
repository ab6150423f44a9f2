//go:build unix

package main

import (
	"testing"

	"github.com/tuma-sms/tuma/producer"
)

func TestAudit_ComparesEveryRowWithTheGateway(t *testing.T) {
	t.Parallel()
	const number, text = 254_710_000_007, "254710000007"
	for _, c := range []struct {
		name, status, input       string
		got                       int
		sure, exposed             bool
		duplicates, lost, excused int
		unknownCalls, breaches    int
	}{
		{name: "accepted once", status: "accepted", got: 1},
		{name: "accepted twice", status: "accepted", got: 2, duplicates: 1, breaches: 1},
		{name: "accepted, and never seen", status: "accepted", lost: 1, breaches: 1},
		{name: "rejected", status: "rejected"},
		{name: "rejected, and accepted", status: "rejected", got: 1, breaches: 1},
		{name: "skipped, and accepted", status: "skipped", got: 1, breaches: 1},
		{name: "unknown, not there", status: "unknown", unknownCalls: 1},
		{name: "unknown, there", status: "unknown", got: 1, unknownCalls: 1},
		{name: "unknown, there twice", status: "unknown", got: 2, duplicates: 1, unknownCalls: 1, breaches: 1},
		{name: "unknown, its worker was killed", status: "unknown", exposed: true, excused: 1},
		{name: "unknown where there is a key", status: "unknown", got: 1, sure: true, exposed: true, breaches: 1},
		{name: "pending at the end", status: "pending", lost: 1, breaches: 1},
		{name: "no status at all", lost: 1, breaches: 1},
		{name: "another's row", status: "accepted", input: "254710000008", got: 1, lost: 1, breaches: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.input == "" {
				c.input = text
			}
			a := audit{gateway: "kobo", unknownCalls: map[string]bool{}}
			r := producer.Result{Row: 1, Status: c.status, Input: c.input, MessageUUID: "u"}
			a.checkRow("c", r, number, c.got, c.sure, func(id string) bool { return id == "u" && c.exposed })
			if a.recipients != 1 || a.duplicates != c.duplicates || a.lost != c.lost || a.excused != c.excused ||
				len(a.unknownCalls) != c.unknownCalls || len(a.breaches) != c.breaches {
				t.Errorf("got %+v", a)
			}
		})
	}
}

func TestAudit_ComparesTheSumsWithTheGateway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		books    gatewayCounts
		breaches int
	}{
		{"all as it should be", gatewayCounts{numbers: 3, broken: 2}, 0},
		{"a number that is in no campaign", gatewayCounts{numbers: 4, broken: 2}, 1},
		{"a duplicate that no row shows", gatewayCounts{numbers: 3, broken: 2, duplicates: 1}, 1},
		{"one key for two calls", gatewayCounts{numbers: 3, broken: 2, conflicts: 1}, 1},
		{"more unknown calls than were broken", gatewayCounts{numbers: 3, broken: 1}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := audit{numbers: 3, unknownCalls: map[string]bool{"a": true, "b": true}}
			a.finish(c.books)
			if len(a.breaches) != c.breaches {
				t.Errorf("got %q, want %d breaches", a.breaches, c.breaches)
			}
		})
	}
}

func TestAudit_StatusesMustAddUpToTheTotal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status   producer.Status
		breaches int
	}{
		{producer.Status{Counts: producer.Counts{Total: 7, Pending: 1, Accepted: 1, Delivered: 1, Undelivered: 1, Rejected: 1, Unknown: 1, Skipped: 1}}, 0},
		{producer.Status{Counts: producer.Counts{Total: 7, Pending: 6}}, 1},
		{producer.Status{Counts: producer.Counts{Total: 7, Accepted: 8}}, 1},
		{producer.Status{Counts: producer.Counts{Total: 7}, State: producer.Uploading}, 0},
	} {
		var x traffic
		x.checkI1(c.status)
		if len(x.breaches) != c.breaches {
			t.Errorf("%+v: %q", c.status, x.breaches)
		}
	}
}
