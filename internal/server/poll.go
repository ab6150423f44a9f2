package server

import (
	"context"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/inbox"
	"github.com/tuma-sms/tuma/providers"
)

const (
	// pollTimeout is the time limit for reading an inbox at a gateway once.
	pollTimeout = 2 * time.Minute
	// maxPages is the maximum number of requests for reading an inbox once.
	maxPages = 100
)

// startPolls starts goroutines that read the inboxes of the polled accounts at their gateways until
// ctx ends. It returns a function that waits until all these goroutines have ended.
func (s *Server) startPolls(ctx context.Context) (wait func()) {
	var group sync.WaitGroup
	for _, acc := range s.cfg.Polled {
		if _, ok := acc.Provider.(providers.InboxReader); ok && s.cfg.Inbox != nil && s.cfg.PollEvery > 0 {
			group.Go(func() { s.poll(ctx, acc.Name) })
		}
	}
	return group.Wait
}

// inForce returns the configuration of the last Reload, and the polled account with the given name in it. The result
// "reader" is nil if that configuration does not poll the account.
func (s *Server) inForce(name string) (cfg *Config, acc *Account, reader providers.InboxReader) {
	cfg = &s.doors.Load().cfg
	for i := range cfg.Polled {
		if acc = &cfg.Polled[i]; acc.Name == name {
			reader, _ = acc.Provider.(providers.InboxReader)
			return cfg, acc, reader
		}
	}
	return cfg, nil, nil
}

// poll reads the account's inbox at the gateway each time this process gets the turn (see
// Inbox.Turn in internal/inbox). If the read fails, poll logs the error and repeats the read in
// the next turn.
func (s *Server) poll(ctx context.Context, name string) {
	// All server processes share one turn in each PollEvery. Each process asks for the turn four
	// times in this period, so that a process that has stopped is soon replaced.
	tick := time.NewTicker(max(s.cfg.PollEvery/4, time.Millisecond))
	defer tick.Stop()
	for {
		mine, err := s.cfg.Inbox.Turn(ctx, name, s.cfg.PollEvery)
		if cfg, acc, reader := s.inForce(name); mine && reader != nil {
			err = readInbox(ctx, cfg, acc, reader)
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn().Err(err).Str("account", name).Msg("reading the inbox at the gateway failed")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// readInbox stores the messages that the gateway has for the account. It repeats the request until the
// gateway has no further message.
func readInbox(ctx context.Context, cfg *Config, acc *Account, reader providers.InboxReader) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	last, err := cfg.Inbox.LastID(ctx, acc.Name)
	if err != nil {
		return err
	}
	for range maxPages {
		messages, err := reader.Inbox(ctx, last)
		if err != nil {
			return err
		}
		if err := takePolled(ctx, cfg, acc, messages); err != nil {
			return err
		}
		// If messages have no IDs, the gateway returns its whole inbox in each reply. Then one
		// request has read all messages.
		if len(messages) == 0 || messages[len(messages)-1].ID == "" || messages[len(messages)-1].ID == last {
			return nil
		}
		last = messages[len(messages)-1].ID
		if err := cfg.Inbox.SetLastID(ctx, acc.Name, last); err != nil {
			return err
		}
	}
	return nil
}

// takePolled stores the new messages. It skips messages that are older than the time for which the inbox
// keeps messages, unless their text is an opt-out or opt-in word.
func takePolled(ctx context.Context, cfg *Config, acc *Account, messages []providers.Inbound) error {
	oldest := time.Now().Add(-cfg.Inbox.Keep())
	keys := make([]inbox.Message, len(messages))
	for i, m := range messages {
		keys[i] = inbox.Message{Account: acc.Name, ID: m.ID, From: m.From, At: m.At, UnreadTime: m.UnreadTime, Text: m.Text}
		if number, err := senderNumber(m.From, cfg.Country); err == nil {
			keys[i].From = number.String()
		}
	}
	known, err := cfg.Inbox.Known(ctx, keys)
	if err != nil {
		return err
	}
	for i, m := range messages {
		// Two kinds of messages are taken even if they are known: messages without a time, and old
		// messages with an opt-out or opt-in word. The gateway may return such a message for longer
		// than Tuma remembers it. Each call of takeMessage extends the time for which Tuma remembers
		// the message.
		old := m.At.Before(oldest)
		if !m.At.IsZero() && (known[i] && !old || old && cfg.Words.Of(m.Text) == "") {
			continue
		}
		if err := takeMessage(ctx, cfg, acc, m); err != nil {
			return err
		}
	}
	return nil
}
