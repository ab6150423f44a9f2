package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test uses real processes in all ways in which people and gateways use them, and makes many requests fail. Then
// Tuma's output must not contain a secret. Numbers and texts may only be in the output that is meant to have them.
func TestPlanted_NothingIsWhereItDoesNotBelong(t *testing.T) {
	t.Parallel()
	x := newPlantedRig(t)
	key := x.makeKeys()
	x.sendEverywhere(key)
	x.receive()
	x.harmGateways()
	x.askWrongly(key)
	x.makeWebhook(key)
	x.breakConfiguration()
	x.failRedis()
	x.logInWrongly()
	x.readAll()
	x.stop()
	for _, s := range x.sources() {
		if len(s.text) < 200 || !strings.Contains(s.text, s.has) {
			t.Errorf("%s: has %d bytes, and must contain %q: this test no longer looks at what it should", s.name, len(s.text), s.has)
		}
		for _, found := range search(x.plants, s.text, s.without...) {
			t.Errorf("%s: has the %s\n%s", s.name, found, x.around(s.text, found))
		}
		x.wantFinds(s)
	}
}

// wantFinds checks the search itself. It adds each plant to the text of a source. The search must find exactly
// those plants that the source must not have.
func (x *plantedRig) wantFinds(s source) {
	x.t.Helper()
	half := min(len(s.text)/2, 2000)
	for i := range x.plants {
		p := &x.plants[i]
		line := string(p.lower["unchanged"])
		if p.whole != nil {
			line = p.writings[2]
		}
		text := s.text[:half] + "\n" + line + "\n" + s.text[len(s.text)-half:]
		if found := len(search(x.plants[i:i+1], text, s.without...)) > 0; found != slices.Contains(s.without, p.kind) {
			x.t.Errorf("%s: the search finds the %s: %t, want %t", s.name, p.what, found, !found)
		}
	}
}

// makeKeys makes one API key with a command, and another API key over the API.
func (x *plantedRig) makeKeys() string {
	x.t.Helper()
	made := func(text string) string {
		_, name, _ := strings.Cut(strings.TrimPrefix(text, "tuma_"), "_")
		if !strings.HasPrefix(text, "tuma_") {
			x.t.Fatal("no key was made")
		}
		x.secret("of API key", name)
		return text
	}
	var first struct{ Key string }
	if err := json.Unmarshal([]byte(x.must("keys", "create", "--name", "shop", "--scopes", "send,admin,read", "--json")), &first); err != nil {
		x.t.Fatal(err)
	}
	key := made(first.Key)
	made(fmt.Sprint(x.askQuietly(key, http.MethodPost, "/v1/keys", `{"name":"crm","scopes":["read"]}`, http.StatusCreated)["key"]))
	x.secret("wrong key", "Wr0ngKq-4vZt9_xLpHd")
	x.ask("tuma_k1_"+x.secrets["wrong key"], http.MethodGet, "/v1/accounts", "", http.StatusUnauthorized)
	x.ask(x.secrets["wrong key"], http.MethodGet, "/v1/accounts", "", http.StatusUnauthorized)
	return key
}

// askQuietly sends a request like the method "ask", but does not keep the answer. It is for answers that are meant to
// contain a secret.
func (x *plantedRig) askQuietly(key, method, path, body string, want int) map[string]any {
	x.t.Helper()
	out := x.ask(key, method, path, body, want)
	x.said["answers of the API"] = x.said["answers of the API"][:len(x.said["answers of the API"])-2]
	return out
}

// sendEverywhere sends a campaign with merge fields by the command line. Then it sends one message and one campaign
// through each gateway by the API.
func (x *plantedRig) sendEverywhere(key string) {
	x.t.Helper()
	text := x.word("of a campaign", "Zukwafumbo, {{jina}} ni wako leo Mvk7dulaq")
	name := x.word("personal field", "Qwambi-Njeru Oloxtip")
	ref := "ref-Zk4041-Bqx77"
	x.plants = append(x.plants, newPlant(digits, "reference of a recipient", ref)) // this reference may be in every output that may have the recipient's number
	list := x.write("list.csv", "number,jina,ref\n"+plantedNumbers[0]+","+name+","+ref+"\n0"+plantedNumbers[1][3:]+","+name+",r2\n07129834,"+name+",r3\n")
	x.run("commands", "send", "--id", "sale", "--via", "kobo", "--body", text, "--file", list, "--ref-column", "ref", "--status-events", "--wait")
	if s := x.status("sale"); s.Accepted != 2 || s.Skipped != 1 {
		x.t.Fatalf("the campaign has the status %+v, want two accepted, one skipped", s)
	}
	once := x.word("of a message", "Pqazima 4471 ni Xkodiyako")
	for i, k := range x.kinds {
		body, _ := json.Marshal(map[string]any{"to": "+" + plantedNumbers[i%3], "via": k.Name, "body": once, "ref": ref, "keep_body": true, "status_events": true})
		x.ask(key, http.MethodPost, "/v1/messages?wait=10", string(body), http.StatusAccepted)
		body, _ = json.Marshal(map[string]any{"id": "api-" + k.Name, "via": k.Name, "body": text, "recipients": []any{map[string]any{"number": plantedNumbers[2], "ref": ref,
			"fields": map[string]string{"jina": name}}, map[string]any{"number": "0" + plantedNumbers[3][3:], "fields": map[string]string{"jina": name}}}})
		x.ask(key, http.MethodPost, "/v1/campaigns", string(body), http.StatusAccepted)
		if s := x.wait("api-"+k.Name, 30*time.Second); s.Accepted != 2 {
			x.t.Fatalf("%s: the campaign has the status %+v, want two accepted", k.Name, s)
		}
	}
}

// The method "receive" posts callbacks: messages, delivery reports, opt-outs and content that cannot be read. It also
// posts to paths that are not doors.
func (x *plantedRig) receive() {
	x.t.Helper()
	said := x.word("of a subscriber", "Nimepata Yxezule 8837vqw")
	from := "+" + plantedNumbers[4]
	const at = "africastalking"
	x.call(x.doorOf(at, "inbound"), url.Values{"id": {"in-1"}, "from": {from}, "to": {"22384"}, "text": {said}, "date": {"2026-11-29 09:30:00"}}, http.StatusOK)
	x.call(x.doorOf(at, "inbound"), url.Values{"id": {"in-2"}, "from": {from}, "to": {"22384"}, "text": {"STOP"}}, http.StatusOK)
	x.call(x.doorOf("textconnect", "inbound"), url.Values{"id": {"in-3"}, "source": {plantedNumbers[5]}, "dest": {"ACME"}, "msg": {said}}, http.StatusOK)
	x.call(x.doorOf(at, "delivery"), url.Values{"id": {"ATXid_none"}, "phoneNumber": {from}, "status": {"Failed"}, "failureReason": {said}}, http.StatusOK)
	x.call(x.doorOf(at, "optout"), url.Values{"senderId": {"ACME"}, "phoneNumber": {"+" + plantedNumbers[6]}}, http.StatusOK)
	nonsense := url.Values{"from": {from}, "text": {said}, "phoneNumber": {said}, "status": {said}}
	for _, kind := range []string{"inbound", "delivery", "optout"} {
		x.call(x.doorOf(at, kind), nonsense, http.StatusBadRequest)
	}
	x.secret("wrong callback", "wR0ng.cB~4Zq8_xN")
	for _, path := range []string{"/callbacks/" + at + "/" + x.secrets["wrong callback"] + "/inbound", x.doorOf(at, "else"), "/callbacks/none/" + x.secrets["wrong callback"] + "/inbound",
		x.doorOf(at, "inbound") + "/x", "/" + x.secrets["wrong callback"]} {
		x.call(path, nonsense, http.StatusNotFound)
	}
}

// harmGateways sends messages while the gateways answer with pages that repeat the request.
func (x *plantedRig) harmGateways() {
	x.t.Helper()
	for i, k := range x.kinds {
		for _, status := range []int{http.StatusInternalServerError, http.StatusBadRequest, http.StatusOK, http.StatusForbidden, http.StatusFound} {
			shown := x.mirror.shown.Load()
			x.mirror.answer(2, status)
			x.run("commands", "message", "send", "--via", k.Name, "--to", plantedNumbers[i], "--body", x.text("of a message"), "--keep-body")
			x.eventually(30*time.Second, k.Name+" to be called", func() bool {
				x.release(k.Name) // the answer to an earlier call may hold the account again
				return x.mirror.shown.Load() > shown
			})
			x.run("commands", "balance", k.Name)
			x.mirror.answer(0, 0)
			x.run("commands", "release", k.Name)
		}
	}
	x.mirror.answer(1000, http.StatusTooManyRequests)
	x.run("commands", "balance")
	x.mirror.answer(0, 0)
}

// The method "release" releases an account. It only logs an error, because Redis may be busy. If the account stays
// held, the test fails at its time limit.
func (x *plantedRig) release(account string) {
	if _, err := x.client.Release(x.t.Context(), account); err != nil {
		x.t.Logf("release %s: %v", account, err)
	}
}

// text returns a planted text.
func (x *plantedRig) text(name string) string {
	i := slices.IndexFunc(x.plants, func(p plant) bool { return p.what == "text "+name })
	return string(x.plants[i].lower["unchanged"])
}

// askWrongly sends requests that the API refuses.
func (x *plantedRig) askWrongly(key string) {
	x.t.Helper()
	body := x.text("of a campaign")
	for _, r := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/v1/messages", `{"to":"` + body + `","via":"kobo","body":"x"}`, 422},
		{"POST", "/v1/messages", `{"to":"` + plantedNumbers[0] + `9999","via":"kobo","body":"` + body + `"}`, 422},
		{"POST", "/v1/messages", `{"to":"` + plantedNumbers[0] + `","via":"` + body + `","body":"` + body + `"`, 400},
		{"POST", "/v1/messages", `{"to":["` + plantedNumbers[0] + `"],"via":5,"body":{"` + body + `":1}}`, 422},
		{"POST", "/v1/messages", `{"to":"` + plantedNumbers[0] + `","via":"kobo","class":"` + body + `","body":"` + body + `"}`, 422},
		{"POST", "/v1/messages", `{"to":"` + plantedNumbers[0] + `","via":"kobo","start_at":"` + body + `","body":"` + body + `"}`, 422},
		{"POST", "/v1/campaigns", `{"via":"kobo","body":"{{` + body + `","recipients":[{"number":"` + plantedNumbers[0] + `"}]}`, 422},
		{"POST", "/v1/campaigns", `{"via":"kobo","body":"{{none}}","recipients":[{"number":"` + plantedNumbers[0] + `","fields":{"a":"` + body + `"}}]}`, 422},
		{"POST", "/v1/optouts", `{"numbers":["` + plantedNumbers[0] + `777","` + body + `"]}`, 422},
		{"GET", "/v1/messages/none-of-these", "", 404},
		{"GET", "/v1/none", "", 404},
		{"POST", "/v1/webhooks", `{"name":"bad","url":"https://x:` + x.secrets["wrong callback"] + `@127.0.0.1/","secret":"` + x.secrets["wrong callback"] + `"}`, 422},
	} {
		x.ask(key, r.method, r.path, r.body, r.status)
	}
}

// makeWebhook makes a webhook by the API and changes its secret. Redis must store both secrets.
func (x *plantedRig) makeWebhook(key string) {
	x.t.Helper()
	made := x.askQuietly(key, http.MethodPost, "/v1/webhooks", `{"name":"made","url":"https://receiver.invalid/","events":["optout.added"]}`, http.StatusCreated)
	x.secret("made webhook", strings.TrimPrefix(fmt.Sprint(made["secret"]), "whsec_"))
	next := x.askQuietly(key, http.MethodPost, "/v1/webhooks/made/secret", "", http.StatusOK)
	x.secret("next webhook", strings.TrimPrefix(fmt.Sprint(next["secret"]), "whsec_"))
	x.ask(key, http.MethodPost, "/v1/webhooks/made/test", "", http.StatusOK)
	x.ask(key, http.MethodPost, "/v1/webhooks/crm/test", "", http.StatusOK)
	x.ask(key, http.MethodGet, "/v1/webhooks", "", http.StatusOK)
}

// breakConfiguration writes configuration files that cannot be used. Each file has the secret in a different wrong place.
func (x *plantedRig) breakConfiguration() {
	x.t.Helper()
	wrong := x.secret("in a wrong place", "mZ8vqW-x1Pd%zz~Kt3y")
	for i, broken := range []string{
		"accounts: {kobo: {provider: kobo, pass: \"" + wrong, "accounts: {kobo: {provider: kobo, user: a, pass: [" + wrong + "]}}", "accounts: {kobo: {provider: kobo, user: a, pass: {x: " + wrong + "}}}",
		"redis: {url: \"redis://tuma:" + wrong + "@127.0.0.1:port/0\"}\n", "redis: {url: \"redis://tuma:" + wrong + "@:6379/x\"}\n", "redis: {url: \"" + wrong + "\"}\n",
		x.yaml + "    callback_secret: \"" + wrong + "\"\n", x.yaml + "    callback_secret: [\"" + wrong + "/\", \"" + wrong + "\"]\n",
		x.yaml + "    base_url: \"https://u:" + wrong + "@127.0.0.1/\"\n", "webhooks: {crm: {url: \"https://u:" + wrong + "@127.0.0.1/\", secret: \"" + wrong + "\"}}\n",
		strings.Replace(x.yaml, "secret_file: hook", "secret: \"whsec_"+wrong+"\"", 1), "accounts: {kobo: {provider: kobo, user: a, pass: a, pass: \"" + wrong + "\"}}\n",
	} {
		before := strings.Count(x.read("worker.log"), "cannot be used")
		// A process logs the same mistakes only once. The unknown key has another name in each file, so that the
		// mistakes differ.
		x.write("tuma.yaml", fmt.Sprintf("key%d: 1\n%s", i, broken))
		for _, p := range x.process {
			if err := p.Process.Signal(syscall.SIGHUP); err != nil {
				x.t.Fatal(err)
			}
		}
		x.eventually(20*time.Second, fmt.Sprintf("both processes to refuse file %d", i), func() bool { return strings.Count(x.read("worker.log"), "cannot be used") >= before+2 })
		for _, address := range x.listen {
			status, text := x.readyz(address)
			if status != http.StatusOK || !strings.Contains(text, "cannot be used") {
				x.t.Errorf("with the broken file %d /readyz answers %d and %q, want 200 and the reason", i, status, text)
			}
			x.said["pages of health"] = append(x.said["pages of health"], text)
		}
		x.run("tuma check", "check")
	}
	x.write("tuma.yaml", x.yaml)
	x.run("tuma check", "check")
}

// failRedis runs commands with wrong URLs of Redis, and takes Redis away from the processes for a moment.
func (x *plantedRig) failRedis() {
	x.t.Helper()
	kept := x.env
	wrong := url.PathEscape(x.secrets["in a wrong place"])
	for _, u := range []string{"redis://tuma:" + wrong + "@" + x.redis.Addr() + "/0", "redis://tuma:" + wrong + "@127.0.0.1:1/0", "redis://tuma:" + wrong + "@127.0.0.1:x/0",
		"rediss://tuma:" + wrong + "@127.0.0.1:x/0", "redis-sentinel://tuma:" + wrong + "@127.0.0.1/", "redis://tuma:" + x.secrets["in a wrong place"] + "@127.0.0.1"} {
		x.env = append(slices.Clone(kept), "TUMA_REDIS_URL="+u)
		x.run("tuma check", "check")
	}
	x.run("commands", "status", "sale")
	x.env = kept
	x.redis.Stop()
	x.eventually(30*time.Second, "a process to notice that Redis does not answer", func() bool { status, _ := x.readyz(x.listen["serve"]); return status != http.StatusOK })
	x.redis.Cont()
	for name, address := range x.listen {
		x.eventually(30*time.Second, name+" to be ready again", func() bool { status, _ := x.readyz(address); return status == http.StatusOK })
	}
}

// logInWrongly lets KoboMobile refuse the login. Then it writes a new password, which KoboMobile refuses too.
func (x *plantedRig) logInWrongly() {
	x.t.Helper()
	x.gateway.SetPassword("demo", "another")
	send := func() {
		const held = "account is held after this call"
		before := strings.Count(x.read("worker.log"), held)
		x.run("commands", "message", "send", "--via", "kobo", "--to", plantedNumbers[0], "--body", x.text("of a message"))
		x.eventually(30*time.Second, "the account to be held", func() bool {
			if strings.Count(x.read("worker.log"), held) > before {
				return true
			}
			x.release("kobo") // an earlier call may still hold the account
			return false
		})
		x.run("commands", "accounts")
		x.run("tuma check", "check")
	}
	send()
	x.write("kobo-pass", x.secret("second kobo pass", "nW8#qz/2Vx+pK tL5"))
	reloads := strings.Count(x.read("worker.log"), "the configuration was reloaded")
	x.eventually(20*time.Second, "the new password", func() bool { return strings.Count(x.read("worker.log"), "the configuration was reloaded") >= reloads+2 })
	x.run("commands", "release", "kobo")
	send()
}

// readAll runs the commands that show what happened.
func (x *plantedRig) readAll() {
	x.t.Helper()
	for _, line := range []string{"accounts --json", "list --all --json", "status sale --json", "report sale", "keys list --json", "optout list", "inbox --json", "results sale", "find " + plantedNumbers[0], "balance"} {
		x.run("commands", strings.Fields(line)...)
	}
	x.run("commands", "optout", "add", plantedNumbers[2])
	x.run("audit log", "audit", "--json")
	x.run("commands", "forget", plantedNumbers[5])
	x.run("events", "events", "--json")
	for name, address := range x.listen {
		resp, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			x.t.Fatal(err)
		}
		x.said["metrics of "+name] = append(x.said["metrics of "+name], readBody(x.t, resp))
	}
}

// The method "stop" ends both processes. A process sends its last spans before it ends.
func (x *plantedRig) stop() {
	x.t.Helper()
	for _, p := range []*exec.Cmd{x.process["serve"], x.process["worker"]} {
		x.drain(p)
	}
}
