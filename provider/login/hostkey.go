package login

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/ssh"
	"github.com/gantry-run/gantry/provider/model"
)

// hostKeys is how host keys are judged, and the file for the policy known_hosts; at is
// the block.
func hostKeys(policy, knownHosts types.String, at path.Path, diags *diag.Diagnostics) (p ssh.HostKeyPolicy, file string) {
	p = ssh.HostKeyPolicy(cmp.Or(policy.ValueString(), string(ssh.Pin)))
	given := model.ExpandHome(knownHosts.ValueString())
	switch p {
	case ssh.KnownHosts:
		file = given
		if file == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				diags.AddAttributeError(at.AtName("known_hosts_file"), "No known_hosts file", err.Error())
				return p, ""
			}
			file = filepath.Join(home, ".ssh", "known_hosts")
		}
		if _, err := ssh.ParseKnownHosts(file); err != nil {
			diags.AddAttributeError(at.AtName("known_hosts_file"), "The known_hosts file cannot be used", err.Error())
		}
	case ssh.Pin, ssh.Insecure:
		if given != "" {
			diags.AddAttributeError(at.AtName("known_hosts_file"), "The known_hosts file would not be used", "Set host_key_policy = \"known_hosts\".")
		}
	default:
		diags.AddAttributeError(at.AtName("host_key_policy"), "Unknown policy", fmt.Sprintf("%q: expected pin, known_hosts or insecure.", p))
	}
	return p, file
}
