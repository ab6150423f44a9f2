package e2e

import (
	"time"

	"github.com/tuma-sms/tuma/internal/inbox"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/script"
)

// The method "inbound" writes all keys of the inbox. It stores two messages in an inbox that keeps only one. It also
// takes the turn to read the inbox at a gateway, and stores the ID of the last message read there.
func (r *schemaRig) inbound() {
	ctx := r.t.Context()
	box := inbox.New(script.NewRunner(r.rdb, script.Durability{}), 0, 1)
	for _, m := range []inbox.Message{
		{Account: "plain", ID: "1", From: "254711000001", To: "ACME", Text: "START", LinkID: "l", At: time.Now(), Word: inbox.Start, Fields: map[string]string{"cost": "0"}},
		{Account: "plain", From: "254711000001", Text: "hello", UnreadTime: "noon"},
	} {
		_, err := box.Take(ctx, m, &inbox.OptIn{List: optout.OriginKeyword, Number: 254711000001, At: time.Now()})
		r.ok(err)
	}
	_, err := box.Turn(ctx, "plain", time.Minute)
	r.ok(err)
	r.ok(box.SetLastID(ctx, "plain", "1"))
}
