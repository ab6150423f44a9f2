package config

import (
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/inbox"
)

// Inbound is the inbound section of the configuration.
type Inbound struct {
	// Words are the opt-out and opt-in words.
	Words inbox.Words
	// Keep is how long an incoming message is kept. Max is how many incoming messages are kept.
	Keep time.Duration
	Max  int
	// PollEvery is how often `tuma serve` reads the inbox at a gateway without a door. 0 means
	// never.
	PollEvery time.Duration
}

const (
	defaultPollEvery = time.Minute
	maxInbox         = 10_000_000
	// maxWord is the maximum length of a word in bytes.
	maxWord = 64
)

func defaultInbound() Inbound {
	return Inbound{Words: inbox.DefaultWords(), Keep: inbox.DefaultKeep, Max: inbox.DefaultMax, PollEvery: defaultPollEvery}
}

// The method "inbound" reads the section "inbound".
func (r *reader) inbound(e entry, target *Inbound) {
	r.section(e, map[string]func(entry){
		"stop_words":  func(e entry) { r.words(e, &target.Words.Stop) },
		"start_words": func(e entry) { r.words(e, &target.Words.Start) },
		"keep":        func(e entry) { r.duration(e, &target.Keep, time.Hour, 10*365*24*time.Hour) },
		"max":         func(e entry) { r.int(e, &target.Max, maxInbox) },
		"poll": func(e entry) {
			if s, _ := r.text(e); s == "off" {
				target.PollEvery = 0
				return
			}
			r.duration(e, &target.PollEvery, time.Second, 24*time.Hour)
		},
	})
	for _, word := range target.Words.Start {
		if slices.ContainsFunc(target.Words.Stop, func(s string) bool { return inbox.Bare(s) == inbox.Bare(word) }) {
			r.fail(e, "%.80q is an opt-out word and an opt-in word: remove it from one of the two lists", word)
		}
	}
}

// The method "words" reads a list of words.
func (r *reader) words(e entry, target *[]string) {
	words := []string{}
	for _, item := range r.items(e) {
		text, ok := r.text(item)
		if !ok {
			continue
		}
		if inbox.Bare(text) == "" || len(text) > maxWord {
			r.fail(item, "%s must have letters or digits, and at most %d bytes", show(item), maxWord)
			continue
		}
		words = append(words, text)
	}
	*target = words
}
