package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

var giveBackScript = script.New("give_back", source("give_back"))

func givenBackKey(id string) string { return spentKey(id) + ":back" }

// giveBackArgs are the arguments of give_back.lua.
type giveBackArgs struct {
	Campaign  string
	Day       int
	Cancelled int
}

// GiveBackCancelled subtracts cancelled messages of a campaign from the daily count of the key that
// enqueued the campaign. It is for messages that were cancelled before their submission. The parameter "by"
// is the text that CreatedBy returns for the key. For any other text the call does nothing. The parameter
// "cancelled" is the total number of cancelled messages of the campaign so far. A repeated call with the
// same number changes nothing. If the campaign was enqueued on an earlier day in UTC, the call changes
// nothing.
func (s *Store) GiveBackCancelled(ctx context.Context, by, campaign string, created time.Time, cancelled int) error {
	id, _ := Owner(by)
	if id == "" || cancelled == 0 {
		return nil
	}
	record, err := s.rdb.HGet(ctx, listKey, id).Result()
	if errors.Is(err, redis.Nil) {
		return nil // the key was revoked
	}
	if err != nil {
		return fmt.Errorf("give back messages to key %s: %w", id, err)
	}
	var k stored
	if err := json.Unmarshal([]byte(record), &k); err != nil {
		return fmt.Errorf("give back messages to key %s: the record cannot be read: %w", id, err)
	}
	if k.Daily == 0 {
		return nil // nothing was counted
	}
	name := campaign + " " + strconv.FormatInt(created.UnixMilli(), 10)
	_, err = s.scripts.Run(ctx, giveBackScript, []string{spentKey(k.countedAs()), givenBackKey(k.countedAs())},
		script.Args(giveBackArgs{Campaign: name, Day: int(created.Unix() / int64(24*time.Hour/time.Second)), Cancelled: cancelled})...)
	if err != nil {
		return fmt.Errorf("give back messages to key %s: %w", id, err)
	}
	return nil
}

// CreatedBy returns the text that stands for a key in Status.CreatedBy and in the audit log.
func CreatedBy(k Key) string { return "key:" + k.Name + " (" + k.ID + ")" }

// Owner returns the ID and the name of the key in a text that CreatedBy has made. For any other text,
// both are empty.
func Owner(by string) (id, name string) {
	name, ok := strings.CutPrefix(by, "key:")
	at := strings.LastIndex(name, " (")
	if !ok || at < 0 || !strings.HasSuffix(name, ")") {
		return "", ""
	}
	return name[at+2 : len(name)-1], name[:at]
}
