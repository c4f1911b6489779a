package install

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/encryption"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// startTimeout is how long units may take beyond their first attempt.
const startTimeout = 30 * time.Second

// Input is everything that decides the steps of one node.
type Input struct {
	Node   spec.Node
	Bundle *bundle.Bundle
	// Progress of the upload; may be nil.
	Progress func(sent, total int64)
	// Starts is told before the bundle's programs are started, where the host ran others
	// before; may be nil.
	Starts func()
	// From is who hands the bundle on; may be nil.
	From bundle.Source
	// Credentials are the files of [Credentials].
	Credentials []step.File
	Etcd        Etcd
	// Upstreams answer names outside the cluster; none where the host has no resolver.
	Upstreams []string
}

// Observed are the files that must be read of a host before its steps are made.
func Observed(n spec.Node) []string {
	return append(CredentialFiles(n), IdentityFile, JoinedFile, KnownFile, config.Etcd.ConfigFile(), config.EtcdRefusedFile, resolvFile, VersionFile)
}

// RefusedEtcd says why the host's member of etcd does not start; empty when it does. Its
// data is gone or too old: it can only be replaced by a new member.
func RefusedEtcd(files map[string][]byte) string {
	return strings.TrimSpace(string(files[config.EtcdRefusedFile]))
}

// ForgetEtcd removes what is left of a member that is replaced, and the word that it was
// one. Its directory may be a disk of its own, which stays.
func ForgetEtcd() step.Step {
	return step.Step{Name: "give up the data of the member before", Changes: []step.Change{
		step.Remove{Paths: []string{config.EtcdDataDir + "/member", config.EtcdRecordFile, config.EtcdRefusedFile, JoinedFile}},
	}}
}

const resolvFile = "/etc/resolv.conf"

// Upstreams returns the host's own resolvers, if it has any.
func Upstreams(files map[string][]byte) []string {
	for line := range strings.Lines(string(files[resolvFile])) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			return []string{resolvFile}
		}
	}
	return nil
}

// EtcdOnHost returns the place among the members that the host was given when it
// joined, so that a later run writes the same file again.
func EtcdOnHost(files map[string][]byte, n spec.Node) (Etcd, bool) {
	var c config.EtcdConfig
	data := files[config.Etcd.ConfigFile()]
	if len(data) == 0 || yaml.UnmarshalStrict(data, &c) != nil {
		return Etcd{}, false
	}
	if c.Name != n.Host.Name || c.InitialClusterToken != n.ClusterID || c.InitialCluster[c.Name] != PeerURL(n.Host) {
		return Etcd{}, false
	}
	return Etcd{InitialCluster: c.InitialCluster, Joins: c.InitialClusterState == "existing"}, true
}

// Prepare is the first of the steps: all that does not depend on other masters.
func Prepare(in Input) ([]step.Step, error) {
	idFile, err := yaml.Marshal(identity(in.Node))
	if err != nil {
		return nil, err
	}
	binaries := step.Step{Name: "binaries", Changes: []step.Change{
		bundle.Install{Bundle: in.Bundle, Progress: in.Progress, From: in.From, Keep: in.Node.Master},
	}}
	if !in.Node.Master { // masters hand the bundle on
		binaries.Changes = append(binaries.Changes, step.Remove{Paths: bundle.Staged()}) // what a run that was cut left behind
	}
	return []step.Step{
		{Name: "prepare", Changes: []step.Change{directories(in.Node), loadModules(), step.Files{Files: []step.File{modulesFile()}}}},
		{Name: "identity", Changes: []step.Change{step.Files{Files: []step.File{{Path: IdentityFile, Data: idFile, Mode: 0o644}}}}},
		binaries,
		{Name: "credentials", Changes: []step.Change{step.Files{Files: in.Credentials}}},
	}, nil
}

// Steps are what makes a server this node, in order: Prepare and Rest.
func Steps(in Input) ([]step.Step, error) {
	first, err := Prepare(in)
	if err != nil {
		return nil, err
	}
	rest, err := Rest(in)
	return append(first, rest...), err
}

// Rest is what comes after Prepare.
func Rest(in Input) ([]step.Step, error) {
	n := in.Node
	procs, err := processes(n, in.Etcd, in.Upstreams)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.Host.Name, err)
	}
	r := renderer{in: in, procs: procs}
	configs, units, groups, err := r.all()
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.Host.Name, err)
	}
	changes := []step.Change{step.Files{Files: configs}}
	if n.Master {
		files, unwanted := documentFiles(n)
		changes[0] = step.Files{Files: append(configs, files...)}
		if len(unwanted) > 0 {
			changes = append(changes, step.Remove{Paths: unwanted})
		}
	}
	steps := []step.Step{{Name: "configuration", Changes: append(changes, units, starts(in))}}
	for _, g := range groups {
		steps = append(steps, step.Step{Name: g.name, Changes: []step.Change{g.units}})
	}
	return steps, nil
}

// Joined is the last step: from here on the host is a member.
func Joined(n spec.Node) step.Step {
	return step.Step{Name: "joined", Changes: []step.Change{
		step.Files{Files: []step.File{{Path: JoinedFile, Data: []byte(n.ClusterID + "\n"), Mode: 0o600}}},
		step.Remove{Paths: formerCredentials(n)},
	}}
}

// etcdRoom is what etcd has to find free before it votes, in bytes: a segment of
// its log is 64 MB, and its database grows.
const etcdRoom = 128 << 20

const roomScript = `set -- "$1" "$2" $(stat -f -c '%a %S' "$1")
[ $(($3 * $4)) -ge "$2" ] || { echo "$1: No space left on device: $(($3 * $4)) bytes are free, $2 are needed" >&2; exit 1; }`

// EtcdRoom sees that a master can write what it votes for. A voter that cannot
// counts as one that is down, and two voters bear the loss of none.
func EtcdRoom() step.Change {
	return step.Command{Name: "see that etcd has room", Command: room(config.EtcdDataDir, etcdRoom)}
}

// AnyRoom fails on a host whose disk is full.
func AnyRoom() host.Command { return room(config.StateDir, 1<<20) }

func room(dir string, bytes int) host.Command {
	return host.Shell("need-room", roomScript, dir, strconv.Itoa(bytes))
}

func directories(n spec.Node) step.Dirs {
	d := step.Dirs{
		{Path: config.BootstrapDir, Mode: 0o700}, {Path: config.ConfigDir, Mode: 0o755}, {Path: config.PKIDir, Mode: 0o711},
		{Path: config.BinDir, Mode: 0o755},
	}
	if n.Master {
		d = append(d, step.Dir{Path: config.EtcdDataDir, Mode: 0o700}, step.Dir{Path: config.EtcdMemberDir, Mode: 0o700}, step.Dir{Path: config.EtcdSnapshotsDir, Mode: 0o700}, step.Dir{Path: config.EncryptionDir, Mode: 0o700})
	}
	return d
}

func modulesFile() step.File {
	return step.File{Path: ModulesFile, Data: []byte("overlay\nnf_tables\nvxlan\n"), Mode: 0o644}
}

// loadModules helps where modules are not loaded on demand. A kernel that has
// them built in, or a host that may not load any, is no failure here: whoever
// needs one says so.
func loadModules() step.Change {
	f := modulesFile()
	return step.Command{
		Name: "load kernel modules", Command: host.Command{Argv: []string{"modprobe", "-a", "overlay", "nf_tables", "vxlan"}}, Optional: true,
		Needs: step.Watch{Files: []string{f.Path}},
		Check: func(s step.Seen) bool { return s.Files[f.Path].SHA256 == f.SHA256() },
	}
}

// Known marks a master's host as one whose cluster is kept in a state.
func Known(clusterID string) step.File {
	return step.File{Path: KnownFile, Data: []byte(clusterID + "\n"), Mode: 0o600}
}

// configMode is that of a file that root alone reads, but for that of cluster DNS, which
// is not root. None holds a secret.
func configMode(c config.Component) fs.FileMode {
	if c == config.DNS {
		return 0o644
	}
	return 0o600
}

type group struct {
	name  string
	units step.Units
}

// renderer makes a node's configuration and unit files.
type renderer struct {
	in    Input
	procs []process
}

func (r renderer) all() (configs []step.File, units step.Files, groups []group, err error) {
	inputs := map[config.Component]string{}
	for _, p := range r.procs {
		data, err := config.Marshal(p.config)
		if err != nil {
			return nil, units, nil, err
		}
		configs = append(configs, step.File{Path: p.component.ConfigFile(), Data: data, Mode: configMode(p.component)})
		restore := p.withoutLive()
		decisive, err := config.Marshal(p.config)
		restore()
		if err != nil {
			return nil, units, nil, err
		}
		inputs[p.component] = r.digest(append(decisive, r.read(p.component)...), "gantry", p.uses)
	}
	toml, err := containerdConfig()
	if err != nil {
		return nil, units, nil, err
	}
	configs = append(configs, step.File{Path: config.Containerd.ConfigFile(), Data: toml, Mode: 0o644})
	inputs[config.Containerd] = r.digest(toml, "containerd", nil)

	units.Reload = true
	components := config.WorkerComponents()
	if r.in.Node.Master {
		components = append(config.MasterComponents(), components...)
	}
	rest := group{name: "start node processes", units: step.Units{Timeout: startTimeout}}
	for _, c := range components {
		data, err := unitFile(c, r.in.Node)
		if err != nil {
			return nil, units, nil, err
		}
		units.Files = append(units.Files, step.File{Path: c.UnitFile(), Data: data, Mode: 0o644})
		units.Units = append(units.Units, c.Unit())
		u := step.Unit{Name: c.Unit(), Inputs: digest(data, []byte(inputs[c]))}
		// What the others cannot do without is started first, the rest together.
		if c == config.Etcd || c == config.APIServer {
			groups = append(groups, group{name: startOf(c), units: step.Units{Units: []step.Unit{u}, Timeout: startTimeout}})
			continue
		}
		rest.units.Units = append(rest.units.Units, u)
	}
	return configs, units, append(groups, rest), nil
}

// startOf is the name of the step that starts a component which others cannot do without.
func startOf(c config.Component) string { return "start " + string(c) }

// read is what a process reads beside its configuration and certificates.
func (r renderer) read(c config.Component) []byte {
	if c != config.APIServer {
		return nil
	}
	var out []byte
	for _, d := range documents(r.in.Node) {
		out = append(out, d.content...)
	}
	for _, f := range r.in.Credentials {
		if f.Path == config.EncryptionConfigFile {
			out = append(out, encryption.Decisive(f.Data)...)
		}
	}
	return out
}

// digest is that of a process's inputs: configuration, authorities, binary.
func (r renderer) digest(cfg []byte, binary string, uses []config.Credential) string {
	parts := [][]byte{cfg}
	for _, f := range r.in.Credentials {
		for _, c := range uses {
			if c.IsAuthority() && f.Path == c.CertFile() { // leaves are renewed while they are used
				parts = append(parts, f.Data)
			}
		}
	}
	for _, f := range r.in.Bundle.Programs() {
		if f.Name == binary {
			parts = append(parts, []byte(f.SHA256))
		}
	}
	return digest(parts...)
}

func digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256(p)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
