package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// recipe matches a block of code in Markdown.
var recipe = regexp.MustCompile("(?ms)^```(sh|python|js)\n(.*?)^```$")

// The recipes of docs/api.md run unchanged, and their messages are sent.
func TestAPIPage_RecipesRun(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	key, _ := h.mustRun("keys", "create", "--name", "shop", "--scopes", "admin")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	serve := h.start("serve", "--listen", address)
	eventually(t, "tuma serve", func() bool { return strings.Contains(serve.log.String(), "listening") })
	h.file("customers.csv", "phone,name\n+254712345600,Amina\n")
	programs := map[string][]string{"sh": {"sh", "-e"}, "python": {"python3", "-"}, "js": {"node", "-"}}
	ran := map[string]int{}
	for _, block := range recipe.FindAllStringSubmatch(string(page), -1) {
		language, text := block[1], block[2]
		if language == "sh" && !strings.Contains(text, "curl") {
			continue // commands of tuma
		}
		path, err := exec.LookPath(programs[language][0])
		if err == nil && language == "sh" {
			_, err = exec.LookPath("curl")
		}
		if err != nil {
			if os.Getenv("CI") != "" {
				t.Errorf("%v: CI must run the recipes", err)
			}
			t.Logf("not run: %v", err)
			continue
		}
		// The page names accounts that the fixture does not have.
		text = strings.NewReplacer(`"via":"at"`, `"via":"kobo-main"`, "curl ", "curl -sS --fail-with-body ", "@customers.csv", "@"+filepath.Join(h.dir, "customers.csv")).Replace(text)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, path, programs[language][1:]...)
		cmd.Env = append(os.Environ(), "TUMA=http://"+address, "KEY="+strings.TrimSpace(key))
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			t.Errorf("%s: %v: %s\n%s", language, err, out, text)
		}
		ran[language]++
	}
	for _, id := range []string{"python-1", "node-1"} {
		if language := map[string]string{"python-1": "python", "node-1": "js"}[id]; ran[language] > 0 {
			eventually(t, id, func() bool { return h.status(id).Accepted == 1 })
		}
	}
	t.Logf("ran %v", ran)
	if ran["sh"] == 0 || ran["python"] == 0 || ran["js"] == 0 {
		t.Error("a language of the recipes did not run; install it: apt-get install -y curl python3 nodejs")
	}
}
