package main

import (
	"encoding/json"
	"os"
	"os/user"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

func TestStatusAndReport_WhatWasSentAndByWhom(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	by := who.Username + "@" + host
	body := "Habari {{name}},\ntunafungua saa 3. <{Name}>"
	h.run("send", "--id", "sale", "--via", "kobo-main", "--body", body, "--file", h.file("list.csv", mixedList), "--wait")
	type what struct {
		Body, From, Via, Class, Country string
		CreatedBy                       string `json:"created_by"`
		Notes                           []string
	}
	want := what{body, "ACME", "kobo-main", "marketing", "KE", by, nil}
	for _, command := range []string{"status", "report"} {
		out, _ := h.mustRun(command, "sale", "--json")
		var got what
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "the text contains <{Name}>") {
			t.Errorf("%s --json: got notes %q, want the note of send about {Name}", command, got.Notes)
		}
		if got.Notes = nil; got.Body != want.Body || got.From != want.From || got.Via != want.Via || got.Class != want.Class || got.Country != want.Country || got.CreatedBy != want.CreatedBy {
			t.Errorf("%s --json: got %+v, want %+v", command, got, want)
		}
		out, _ = h.mustRun(command, "sale")
		for _, line := range []string{"text        Habari {{name}}, tunafungua saa 3. <{Name}>\n", "sender      ACME\n", "via         kobo-main\n", "class       marketing\n",
			"country     KE\n", "created by  " + by + "\n", "note        the text contains <{Name}>"} {
			if !strings.Contains(out, line) {
				t.Errorf("%s does not contain %q:\n%s", command, line, out)
			}
		}
	}
}

func TestList_SelectsCampaigns(t *testing.T) {
	t.Parallel()
	h, _ := sentCampaign(t)
	h.mustRun("hold", "kobo-main")
	h.mustRun("send", "--id", "waiting", "--via", "kobo-main", "--body", "x", "--file", h.file("b.csv", mixedList))
	h.mustRun("pause", "waiting")
	if out, errOut, exit := h.runWithInput("0712345678", "send", "--id", "code", "--via", "kobo-main", "--body", "Your code is 1"); exit != exitDone {
		t.Fatalf("send: got exit %d and output %s%s, want exit 0", exit, out, errOut)
	}
	for _, tt := range []struct {
		args []string
		want string
		note string
	}{
		{nil, "waiting sale", "tuma: not shown: 1 campaign of one recipient (tests and single messages); to show them: --all\n"},
		{[]string{"--all"}, "code waiting sale", ""},
		{[]string{"--all", "--limit", "2"}, "code waiting", ""},
		{[]string{"--state", "paused,done"}, "waiting sale", "tuma: not shown: 1"},
		{[]string{"--state", "done", "--since", "1h"}, "sale", "tuma: not shown: 1"},
		{[]string{"--state", "cancelled", "--all"}, "", "tuma: no campaigns match --state and --since\n"},
		{[]string{"--since", "2999-01-01"}, "", "tuma: no campaigns match --state and --since\n"},
	} {
		out, errOut := h.mustRun(append([]string{"list"}, tt.args...)...)
		var ids []string
		for line := range strings.Lines(out) {
			if id := strings.Fields(line)[0]; id != "ID" {
				ids = append(ids, id)
			}
		}
		if got := strings.Join(ids, " "); got != tt.want || !strings.HasPrefix(errOut, tt.note) || tt.note == "" && errOut != "" {
			t.Errorf("list %q: got %q and note %q, want %q and %q", tt.args, got, errOut, tt.want, tt.note)
		}
		out, _ = h.mustRun(append([]string{"list", "--json"}, tt.args...)...)
		var all []producer.Status
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			t.Fatal(err)
		}
		ids = nil
		for _, st := range all {
			ids = append(ids, st.ID)
		}
		if !slices.Equal(ids, strings.Fields(tt.want)) {
			t.Errorf("list --json %q: got %q, want %q", tt.args, ids, tt.want)
		}
	}
	for flag, value := range map[string]string{"--state": "sent", "--since": "yesterday-ish", "--limit": "-1"} {
		if _, errOut, exit := h.run("list", flag, value); exit != exitMisuse || !strings.Contains(errOut, flag+": ") {
			t.Errorf("list %s %s: got exit %d and %s, want exit 2 and a message about %s", flag, value, exit, errOut, flag)
		}
	}
}

func TestCutBytes_CutsBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ s, want string }{{"abcdef", "abcdef"}, {"abcdefg", "abc…"}, {"ééé", "ééé"}, {"éééé", "é…"}, {"aéééé", "aé…"}} {
		if got := cutBytes(tt.s, 6); got != tt.want || len(got) > 6 || !utf8.ValidString(got) {
			t.Errorf("cutBytes(%q, 6) = %q, want %q", tt.s, got, tt.want)
		}
	}
}
