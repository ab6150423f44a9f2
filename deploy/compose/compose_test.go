// Package compose tests the files for a trial with Docker Compose. The tests need no Docker.
package compose

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/tuma-sms/tuma/deploy/deploytest"
)

func TestMain(m *testing.M) { deploytest.Main(m) }

// load reads a compose file like `docker compose config`. An unknown key is an error.
func load(t *testing.T, text string) (*types.Project, error) {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: []byte(text)}},
		Environment: types.Mapping{},
	})
}

// problems returns the mistakes that the schema of compose files cannot find: conditions without a health
// check, and files that do not exist.
func problems(p *types.Project) (out []string) {
	for name, s := range p.Services {
		for other, d := range s.DependsOn {
			if d.Condition == types.ServiceConditionHealthy && p.Services[other].HealthCheck == nil {
				out = append(out, name+" waits for the health of "+other+", which has no healthcheck")
			}
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				if _, err := os.Stat(v.Source); err != nil {
					out = append(out, name+": "+err.Error())
				}
			}
		}
		if s.Build != nil {
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				out = append(out, name+": "+err.Error())
			}
			if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") {
				out = append(out, name+": can write to its root file system, or has capabilities")
			}
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				out = append(out, name+": publishes port "+port.Published+" beyond this machine")
			}
		}
	}
	return out
}

// TestCompose_IsValid checks compose.yaml against the schema. It also checks that every file and service that
// compose.yaml names exists.
func TestCompose_IsValid(t *testing.T) {
	t.Parallel()
	p, err := load(t, deploytest.Read(t, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems(p) {
		t.Error(problem)
	}
	for _, name := range []string{"redis", "sandbox", "worker", "serve", "campaign", "prometheus", "grafana"} {
		if _, ok := p.Services[name]; !ok {
			t.Errorf("no service %s", name)
		}
	}
	worker := p.Services["worker"]
	if n := worker.GetScale(); n != 2 {
		t.Errorf("got %d workers, want 2", n)
	}
}

// Each case of TestCompose_RefusesBrokenFiles makes one change in compose.yaml, and the change must be found.
func TestCompose_RefusesBrokenFiles(t *testing.T) {
	t.Parallel()
	text := deploytest.Read(t, "compose.yaml")
	for _, c := range []struct{ what, old, new string }{
		{"misspelt key", "    command: [worker", "    comand: [worker"},
		{"misspelt condition", "service_healthy", "service_health"},
		{"unknown service", "depends_on: [prometheus]", "depends_on: [prom]"},
		{"no health check", "    healthcheck:\n", "    x-healthcheck:\n"},
		{"missing file", "./recipients.csv", "./numbers.csv"},
		{"missing volume", "  redis: {}\n", ""},
		{"port open to all", `"127.0.0.1:8090:8090"`, `"8090:8090"`},
		{"duration", "stop_grace_period: 60s", "stop_grace_period: 60"},
	} {
		broken := strings.Replace(text, c.old, c.new, 1)
		if broken == text {
			t.Errorf("%s: compose.yaml has no %q", c.what, c.old)
			continue
		}
		if p, err := load(t, broken); err == nil && len(problems(p)) == 0 {
			t.Errorf("%s: nothing was found", c.what)
		}
	}
}

// rig runs the services of compose.yaml as processes of this machine.
type rig struct {
	t       *testing.T
	project *types.Project
	dir     string
	// The replacer "names" replaces the texts that differ on this machine: addresses, and paths inside a container.
	names *strings.Replacer
}

// start starts a service with the command of compose.yaml. The parameter "listen" has pairs of addresses: an
// address inside the container, and an address of this machine.
func (r *rig) start(service string, listen ...string) *deploytest.Process {
	r.t.Helper()
	return deploytest.Start(r.t, r.dir, r.env(), deploytest.Tuma(r.t), r.command(service, listen...)...)
}

func (r *rig) command(service string, listen ...string) (args []string) {
	own := strings.NewReplacer(listen...)
	for _, arg := range r.project.Services[service].Command {
		args = append(args, own.Replace(r.names.Replace(arg)))
	}
	return args
}

func (r *rig) env() (out []string) {
	for name, value := range r.project.Services["worker"].Environment {
		out = append(out, name+"="+r.names.Replace(*value))
	}
	return out
}

// TestCompose_SendsTheCampaign runs the commands of compose.yaml as processes: Redis, sandbox, two workers,
// serve and the campaign. Each message must arrive once. At the end, the processes are stopped in the same
// way as by `docker compose stop`.
func TestCompose_SendsTheCampaign(t *testing.T) {
	t.Parallel()
	project, err := load(t, deploytest.Read(t, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	redis := deploytest.Redis(t, project.Services["redis"].Command[1:]...)
	sandbox := deploytest.FreeAddress(t)
	dir := t.TempDir()
	r := &rig{t: t, project: project, dir: dir, names: strings.NewReplacer(
		"/etc/tuma/tuma.yaml", filepath.Join(dir, "tuma.yaml"), "/recipients.csv", filepath.Join(dir, "recipients.csv"),
		"redis:6379", redis, "sandbox:8025", sandbox, ":8025", sandbox, "rate: 30/s", "rate: 3000/s")}
	for _, name := range []string{"tuma.yaml", "recipients.csv"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(r.names.Replace(deploytest.Read(t, name))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.start("sandbox")
	deploytest.Wait(t, "the sandbox", func() bool { return deploytest.Listens(sandbox) })
	var running []*deploytest.Process
	for _, service := range []string{"worker", "worker", "serve"} {
		probes, doors := deploytest.FreeAddress(t), deploytest.FreeAddress(t)
		running = append(running, r.start(service, ":8080", probes, ":8090", doors))
		deploytest.Wait(t, service+" to be ready", func() bool { return get(t, "http://"+probes+"/readyz") == "ok\n" })
	}
	tuma := func(args ...string) (string, int) {
		return deploytest.Run(t, dir, r.env(), deploytest.Tuma(t), args...)
	}
	if out, status := tuma(r.command("campaign")...); status != 0 {
		t.Fatalf("the campaign was not enqueued: status %d: %s", status, out)
	}
	if out, status := tuma(r.command("campaign")...); status != 0 {
		t.Fatalf("the campaign, started again: status %d: %s", status, out)
	}
	deploytest.Wait(t, "the end of the campaign", func() bool {
		out, _ := tuma("status", "trial", "--json")
		var got struct {
			State                            string
			Accepted, Delivered, Undelivered int
		}
		return json.Unmarshal([]byte(out), &got) == nil && got.State == "done" && got.Accepted+got.Delivered+got.Undelivered == 3000
	})
	var stats struct{ Accepted, Duplicates int }
	if err := json.Unmarshal([]byte(get(t, "http://"+sandbox+"/_sandbox/stats")), &stats); err != nil || stats.Accepted != 3000 || stats.Duplicates != 0 {
		t.Errorf("the sandbox has %+v (%v), want 3000 accepted and no duplicate", stats, err)
	}
	for _, p := range running {
		if status := p.Stop(t, syscall.SIGTERM); status != 0 {
			t.Errorf("after SIGTERM: status %d, want 0", status)
		}
	}
}

// get returns the body of a response, or "" if the server does not respond.
func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return string(body)
}
