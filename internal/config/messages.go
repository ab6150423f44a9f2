package config

import "time"

// Messages is the configuration section "messages". It applies to single messages, which `tuma message send` and
// Client.Send enqueue.
type Messages struct {
	// Retention is how long Redis keeps a message that has ended.
	Retention time.Duration
	// If PurgeBody is true, Tuma deletes the text of a message once the outcome of the message is known.
	PurgeBody bool
}

func (r *reader) messages(e entry, m *Messages) {
	r.section(e, map[string]func(entry){
		"retention":  func(e entry) { r.duration(e, &m.Retention, time.Minute, 10*365*24*time.Hour) },
		"purge_body": func(e entry) { r.bool(e, &m.PurgeBody) },
	})
}
