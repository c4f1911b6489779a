package login

import (
	"os"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/ssh"
	"github.com/gantry-run/gantry/provider/model"
)

// secretOrFile is a value that is given itself or by the path of its file; at is the
// attribute of the latter.
func secretOrFile(value, file types.String, at path.Path, diags *diag.Diagnostics) []byte {
	if s := value.ValueString(); s != "" || file.ValueString() == "" {
		return []byte(s)
	}
	data, err := os.ReadFile(model.ExpandHome(file.ValueString()))
	if err != nil {
		diags.AddAttributeError(at, "The file cannot be read", err.Error())
	}
	return data
}

// checkKeys refuses what no server could be logged in to with.
func checkKeys(key, passphrase, certificate []byte, at path.Path, diags *diag.Diagnostics) {
	if len(key) > 0 {
		if _, err := ssh.ParseKey(key, passphrase); err != nil {
			diags.AddAttributeError(at, "The private key cannot be used", err.Error())
		}
	}
	if len(certificate) > 0 {
		if _, err := ssh.ParseCertificate(certificate); err != nil {
			diags.AddAttributeError(at.AtName("certificate"), "The certificate cannot be used", err.Error())
		}
	}
}
