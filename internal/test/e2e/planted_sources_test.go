package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// source is something that Tuma writes or answers. The test looks for plants in its text.
type source struct {
	name    string
	text    string
	has     string // a text that the source always has; if it is missing, the test has read the wrong source
	without []kind // the kinds of plants that the source must not have
}

// The method "sources" returns all texts in which the test looks for plants.
func (x *plantedRig) sources() []source {
	x.t.Helper()
	everything := []kind{secret, digits, word}
	tasks, others := x.commands()
	quiet, withNumbers := x.events()
	said := func(name string) string { return strings.Join(x.said[name], "\n") }
	x.trace.mu.Lock()
	defer x.trace.mu.Unlock()
	if x.trace.tokens == 0 {
		x.t.Error("no span came with the token of OTEL_EXPORTER_OTLP_HEADERS")
	}
	log := x.read("worker.log")
	if strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
		x.t.Error("a process has panicked")
	}
	return []source{
		{"the logs", log, "campaign ended", everything},
		{"the metrics of the worker", said("metrics of worker"), "tuma_slots{", everything},
		{"the metrics of serve", said("metrics of serve"), "tuma_callbacks_total{", everything},
		{"the traces", x.trace.raw.String(), "settle", everything},
		{"the tasks in Redis", tasks, "asynq:{", everything},
		{"the other commands in Redis", others, "tuma:{sale}", []kind{secret}},
		{"the audit log", said("audit log"), "key.create", everything},
		{"events without recipients", quiet, `"campaign.state"`, everything},
		{"events about recipients", withNumbers, `"inbound.received"`, []kind{secret, word}},
		{"tuma check", said("tuma check"), "kobo", everything},
		{"commands", said("commands"), "sale", []kind{secret}},
		{"problems of the API", said("problems of the API"), `"title"`, everything},
		{"answers of the API", said("answers of the API"), `"id"`, []kind{secret}},
		{"answers to callbacks", said("answers to callbacks"), "not found", everything},
		{"pages of health", said("pages of health"), "cannot be used", everything},
	}
}

// The method "commands" returns the commands that Redis has run: the commands about asynq's tasks, and all others.
// The API has made two secrets of webhooks, and Redis must keep these secrets. So the method removes them from the
// commands.
func (x *plantedRig) commands() (tasks, others string) {
	x.t.Helper()
	var of [2][]string
	for _, line := range x.redis.stop() {
		i := 1
		if strings.Contains(line, `"asynq:`) {
			i = 0
		} else if strings.Contains(line, `"tuma:webhooks"`) {
			line = strings.NewReplacer(x.secrets["made webhook"], "", x.secrets["next webhook"], "").Replace(line)
		}
		of[i] = append(of[i], line)
	}
	return strings.Join(of[0], "\n"), strings.Join(of[1], "\n")
}

// The method "events" returns the events of kinds without phone numbers, and the events of kinds with phone numbers.
func (x *plantedRig) events() (quiet, withNumbers string) {
	x.t.Helper()
	var of [2][]string
	for line := range strings.Lines(strings.Join(x.said["events"], "\n")) {
		var e struct{ Event string }
		i := 0
		if json.Unmarshal([]byte(line), &e) == nil && slices.Contains([]string{"inbound.received", "message.status", "optout.added"}, e.Event) {
			i = 1
		}
		of[i] = append(of[i], line)
	}
	return strings.Join(of[0], ""), strings.Join(of[1], "")
}

// The method "around" returns the first line of a text that contains the plant in the parameter "found".
func (x *plantedRig) around(text, found string) string {
	for i := range x.plants {
		if p := &x.plants[i]; strings.HasPrefix(found, p.what+", ") {
			for line := range strings.Lines(text) {
				if p.in([]byte(line), []byte(strings.ToLower(line))) != "" {
					return line[:min(len(line), 1500)]
				}
			}
		}
	}
	return "(over several lines)"
}

// readBody returns the body of an answer.
func readBody(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
