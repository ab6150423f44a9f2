package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

func TestSend_RequireCreditRefusesIfTheBalanceIsTooLow(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{Credit: 4}) // 4.00 is enough for five messages of 0.80
	file := h.file("customers.csv", mixedList)       // seven recipients: four valid ones, and three that are skipped
	send := []string{"send", "--via", "kobo-main", "--body", "Hello", "--file", file}

	h.startWorker()
	eventually(t, "the balance", func() bool {
		out, _ := h.mustRun("accounts", "--json")
		return strings.Contains(out, `"balance"`)
	})
	if out, _ := h.mustRun("accounts"); !strings.Contains(out, "4 (") || !strings.Contains(out, "ago)") {
		t.Errorf("tuma accounts printed %s, want the balance 4 and its age", out)
	}
	out, errOut, exit := h.run(append(send, "--id", "refused", "--require-credit")...)
	if exit != exitMisuse || out != "" || !strings.Contains(errOut, "--require-credit: the campaign costs up to 5.6 KES") || !strings.Contains(errOut, "top up the account") {
		t.Errorf("got exit %d and output\n%s%s\nwant exit 2 and an error about the cost", exit, out, errOut)
	}
	if all := h.campaigns(); len(all) != 0 {
		t.Errorf("got campaigns %+v, want none", all)
	}
	out, errOut = h.mustRun(append(send, "--id", "warned", "--json")...)
	var receipt producer.Receipt
	if err := json.Unmarshal([]byte(out), &receipt); err != nil || len(receipt.Credit) != 1 || receipt.Credit[0].Problem != producer.CreditShort {
		t.Errorf("send --json: got error %v and output\n%s\nwant a receipt with one credit warning", err, out)
	}
	if !strings.Contains(errOut, "warning: the campaign costs up to 5.6 KES, but account kobo-main has 4, read ") {
		t.Errorf("got standard error %s, want a warning about the cost", errOut)
	}
	if _, errOut = h.mustRun(append(send, "--id", "enough", "--max-messages", "5", "--require-credit")...); strings.Contains(errOut, "costs") {
		t.Errorf("got standard error %s, want no warning about the cost", errOut)
	}
}
