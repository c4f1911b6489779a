package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// Workspace is a directory with a copy of an example, its variables, and a CLI
// configuration that takes the provider from the mirror: terraform init needs no
// network.
type Workspace struct {
	Dir string
	// User logs in, root by default. With TrustFirst the variables hold no host
	// keys: those of the first contact are pinned.
	User       string
	TrustFirst bool
	// Env is added to terraform's environment.
	Env []string

	tools Tools
	show  io.Writer
}

// NewWorkspace copies examples/<example> to dir. Terraform's output is shown on
// show where that is not nil.
func NewWorkspace(tools Tools, example, dir string, show io.Writer) (*Workspace, error) {
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(tools.Examples, example))); err != nil {
		return nil, fmt.Errorf("copy the example: %w", err)
	}
	cli := fmt.Sprintf("disable_checkpoint = true\n\nprovider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", tools.Mirror)
	return &Workspace{Dir: dir, tools: tools, show: show}, os.WriteFile(filepath.Join(dir, "cli.tfrc"), []byte(cli), 0o600)
}

// OpenWorkspace finds one that was made before.
func OpenWorkspace(tools Tools, dir string, show io.Writer) *Workspace {
	return &Workspace{Dir: dir, tools: tools, show: show}
}

// SetHosts writes the variables: which hosts are masters and which are workers.
func (w *Workspace) SetHosts(l *lab.Lab, masters, workers []string) error {
	v, err := l.Variables(masters, workers)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "bundle  = %q\nlog_dir = %q\n\nssh = {\n  user             = %q\n  private_key_file = %q\n}\n",
		w.tools.Bundle, w.LogDir(), cmp.Or(w.User, v.SSH.User), v.SSH.PrivateKeyFile)
	for _, role := range []struct {
		name  string
		hosts map[string]lab.InventoryHost
		order []string
	}{{"masters", v.Masters, masters}, {"workers", v.Workers, workers}} {
		fmt.Fprintf(&b, "\n%s = {\n", role.name)
		for _, name := range slices.Sorted(slices.Values(role.order)) {
			h := role.hosts[name]
			if w.TrustFirst {
				fmt.Fprintf(&b, "  %s = { address = %q }\n", name, h.Address)
				continue
			}
			fmt.Fprintf(&b, "  %s = { address = %q, host_key = %q }\n", name, h.Address, h.HostKey)
		}
		b.WriteString("}\n")
	}
	return os.WriteFile(filepath.Join(w.Dir, "terraform.tfvars"), []byte(b.String()), 0o600)
}

// Override adds to the configuration what a file of that name overrides.
func (w *Workspace) Override(name, body string) error {
	return os.WriteFile(filepath.Join(w.Dir, name+"_override.tf"), []byte(body), 0o600)
}

// Terraform runs a subcommand.
func (w *Workspace) Terraform(ctx context.Context, args ...string) (string, error) {
	return w.run(ctx, w.show, args...)
}

// LogDir is where each run writes its steps.
func (w *Workspace) LogDir() string { return filepath.Join(w.Dir, "log") }

func (w *Workspace) env() []string {
	return append([]string{"TF_CLI_CONFIG_FILE=" + filepath.Join(w.Dir, "cli.tfrc"), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1"}, w.Env...)
}

func (w *Workspace) run(ctx context.Context, show io.Writer, args ...string) (string, error) {
	return command(ctx, w.Dir, w.env(), show, append([]string{w.tools.Terraform}, args...)...)
}

// KillApply applies, and kills terraform (SIGKILL) as soon as a run's log tells
// that a step of a host has reached a state.
func (w *Workspace) KillApply(ctx context.Context, host, step, state string) error {
	_, err := w.DisturbApply(ctx, host, step, state, func(terraform *os.Process) error { return terraform.Kill() })
	return err
}

// errPassed: a run did all it had to do without a step that should have been in it. The
// run before, which was disturbed, had gone on past it.
var errPassed = errors.New("terraform had nothing to do there")

// DisturbApply applies, and disturbs it as soon as a run's log tells that a step of
// a host has reached a state. It waits for the end of terraform, however it ends,
// and returns what it printed. The error is errPassed where the step was not to come.
func (w *Workspace) DisturbApply(ctx context.Context, host, step, state string, disturb func(terraform *os.Process) error) (string, error) {
	return w.disturb(ctx, "apply", host, step, state, disturb)
}

// DisturbDestroy does the same with a destroy.
func (w *Workspace) DisturbDestroy(ctx context.Context, host, step, state string, disturb func(terraform *os.Process) error) (string, error) {
	return w.disturb(ctx, "destroy", host, step, state, disturb)
}

func (w *Workspace) disturb(ctx context.Context, command, host, step, state string, disturb func(terraform *os.Process) error) (string, error) {
	if err := os.RemoveAll(w.LogDir()); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, w.tools.Terraform, command, "-auto-approve", "-input=false", "-no-color")
	var out bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.Dir, append(os.Environ(), w.env()...), &out, &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err == nil {
				return out.String(), fmt.Errorf("%w: step %q of %s was %s before", errPassed, step, host, state)
			}
			return out.String(), fmt.Errorf("terraform failed before step %q of %s %s: %w\n%s", step, host, state, err, &out)
		case <-time.After(5 * time.Millisecond):
		}
		if w.logged(host, step, state) {
			err := disturb(cmd.Process)
			if err != nil {
				cmd.Process.Kill() //nolint:errcheck // the first error tells
			}
			<-ended //nolint:errcheck // it was disturbed
			return out.String(), err
		}
	}
}

// Copy is another directory with the same configuration and the same state, as
// somebody else may have it.
func (w *Workspace) Copy(dir string) (*Workspace, error) {
	if err := os.CopyFS(dir, os.DirFS(w.Dir)); err != nil {
		return nil, fmt.Errorf("copy the workspace: %w", err)
	}
	other := *w
	other.Dir = dir
	return &other, nil
}

// logged tells whether the log of a run has that event.
func (w *Workspace) logged(host, step, state string) bool {
	files, _ := filepath.Glob(filepath.Join(w.LogDir(), "*.jsonl"))
	for _, f := range files {
		data, _ := os.ReadFile(f) // it may be gone
		for line := range bytes.Lines(data) {
			var e struct{ Host, Step, State string }
			if json.Unmarshal(line, &e) == nil && strings.HasPrefix(e.Host, host+" ") && e.Step == step && e.State == state {
				return true
			}
		}
	}
	return false
}

// Init prepares the directory.
func (w *Workspace) Init(ctx context.Context) error {
	_, err := w.Terraform(ctx, "init", "-input=false", "-no-color")
	return err
}

// Apply applies without asking.
func (w *Workspace) Apply(ctx context.Context) error {
	_, err := w.Terraform(ctx, "apply", "-auto-approve", "-input=false", "-no-color")
	return err
}

// Destroy destroys without asking.
func (w *Workspace) Destroy(ctx context.Context) error {
	_, err := w.Terraform(ctx, "destroy", "-auto-approve", "-input=false", "-no-color")
	return err
}

// ResourceChange is one resource of a plan that is not left as it is.
type ResourceChange struct {
	Address string
	Actions []string
	Before  map[string]any
	After   map[string]any
}

// Plan shows the plan and returns what it would change.
func (w *Workspace) Plan(ctx context.Context) ([]ResourceChange, error) {
	if _, err := w.Terraform(ctx, "plan", "-input=false", "-no-color", "-out=plan"); err != nil {
		return nil, err
	}
	out, err := w.run(ctx, nil, "show", "-json", "plan")
	if err != nil {
		return nil, err
	}
	var plan struct {
		ResourceChanges []struct {
			Address string
			Change  struct {
				Actions       []string
				Before, After map[string]any
			}
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal([]byte(out), &plan); err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	var changes []ResourceChange
	for _, r := range plan.ResourceChanges {
		if !slices.Equal(r.Change.Actions, []string{"no-op"}) {
			changes = append(changes, ResourceChange{r.Address, r.Change.Actions, r.Change.Before, r.Change.After})
		}
	}
	return changes, nil
}

// Output reads one output value.
func (w *Workspace) Output(ctx context.Context, name string) (string, error) {
	out, err := w.run(ctx, nil, "output", "-raw", "-no-color", name)
	return strings.TrimSpace(out), err
}

// State returns the state file.
func (w *Workspace) State() ([]byte, error) {
	return os.ReadFile(filepath.Join(w.Dir, "terraform.tfstate"))
}
