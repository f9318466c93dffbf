"""What a failed resize leaves behind, state by state, and the way back that loses nothing.

nova/virt/libvirt/driver.py (migrate_disk_and_power_off, _cleanup_remote_migration) and
nova/compute/manager.py (_error_out_instance_on_exception, finish_resize).
"""

from __future__ import annotations

from agent.formats.nova_fault import State

# {guest} its UUID, {dir} its directory, {ip} the instances directory, {source}, {destination} the hosts.
LEAVES: dict[State, str] = {
    State.ROLLBACK: "The guest was never touched: it runs, or is stopped, as before on {source}. `openstack server show` shows no"
    " fault; `openstack server event list {guest}` does.",
    State.ERROR_RUNNING: "The guest still runs on {source}, but Nova shows it in ERROR.",
    State.ERROR_STOPPED: "The guest is powered off, its volumes and ports are unplugged, and Nova shows it in ERROR on {source}.",
    State.ERROR_MOVED: "The guest is powered off and in ERROR. {source} has its disk in {dir}_resize ONLY, {destination} has a copy in {dir};"
    " Nova may count it to either host.",
    State.ERROR_DESTINATION: "Nova counts the guest to {destination}, in ERROR, with its old flavor. {source} keeps {dir}_resize for ever.",
    State.DISK_LOSS: "The guest is powered off and in ERROR, and Nova's own clean-up may have DELETED its disk.",
    State.HANG: "Nova has no time limit: the resize is still going on or hangs. Up to mkdir the guest runs; from the copy on it is powered off.",
    State.HANG_DESTINATION: "The disk has been copied and the guest is powered off. Nova counts it to {destination}, where finish_resize works,"
    " failed, or was never told to begin.",
    State.HARMLESS: "Nothing: by itself this fails no resize.",
    State.UNKNOWN: "The text does not tell. `openstack server show {guest}`: ACTIVE or SHUTOFF as before is a rollback; with ERROR, see whether it runs"
    " (virsh list) and where its disk is.",
}

RECOVERY: dict[State, tuple[str, ...]] = {
    State.ROLLBACK: (
        "Nothing to recover: repair the cause and resize again.",
        "Left over on {destination}: perhaps an empty {dir}, or a *.tmp in it: rmdir it once `ls -la` shows nothing else.",
    ),
    State.ERROR_RUNNING: (
        "First check on {source} that the guest runs: virsh list --all",
        "Then `openstack server set --state active {guest}`: safe in this state only, because nothing was stopped or moved."
        " (A hard reboot works too and costs an outage.)",
    ),
    State.ERROR_STOPPED: (
        "First check on {source}: no copy still runs (pgrep -af {guest}), {dir}/disk exists, {dir}_resize does NOT, and"
        " `qemu-img check {dir}/disk` finds no errors.",
        "Then `openstack server reboot --hard {guest}`, straight from ERROR: it plugs volumes and ports again and starts the guest.",
        "If {dir}_resize exists, the clean-up failed too: where {dir} is empty or partial, move it aside, then"
        " mv {dir}_resize {dir} and only then the hard reboot. Delete neither.",
        "Never `openstack server set --state active` here: it starts nothing, it only hides the fault. Nor a hard reboot while a copy"
        " runs: its clean-up would remove the directory of the running guest. Nor rebuild or evacuate: they make a new root disk.",
        "Left over on {destination}: a partial {dir}; remove it once the guest runs on {source} again.",
    ),
    State.ERROR_MOVED: (
        "First compare both copies: size and `qemu-img check` of {dir}_resize/disk on {source} and of {dir}/disk on {destination};"
        " `openstack server show {guest}` tells which host Nova means.",
        "Where that is {source}: mv {dir}_resize {dir} there FIRST, then `openstack server reboot --hard {guest}`; a hard reboot before"
        " makes an empty {dir} and fails.",
        "Where it is {destination}: hard reboot, then look at the ports' binding host and the volumes' attachments.",
        "Never `openstack server set --state active`: no host would have started the guest. Delete neither copy before it runs.",
    ),
    State.ERROR_DESTINATION: (
        "Repair the cause on {destination}. First check there: {dir}/disk is complete (compare its size with {dir}_resize/disk on"
        " {source}), and the guest does not already run on either host (virsh list).",
        "Then `openstack server reboot --hard {guest}`: it runs on {destination}.",
        "`openstack server set --state active` is unsafe: it starts nothing and leaves ports and volumes as they are.",
        "Left over on {source}: {dir}_resize and the libvirt domain. They are the good disk: remove them only when the guest runs and its"
        " data has been looked at.",
    ),
    State.DISK_LOSS: (
        "STOP: no hard reboot, no new resize between these hosts. Look at {dir} and {dir}_resize on both hosts (ls -la), and"
        " whether they are on shared storage (findmnt -T {ip}).",
        "Whose disk is it? Where a directory of an earlier resize was in the way, Nova puts that OLD one in {dir}: its disk is whole, and of that"
        " earlier day (ls -l --time-style=full-iso {dir}). Starting the guest from it is going back to that day.",
        "A good disk that is left in either directory: copy it away first. With it in {dir}: hard reboot. With it in {dir}_resize only:"
        " move {dir} aside, mv {dir}_resize {dir}, then hard reboot.",
        "No disk left: from a backup or a snapshot of the storage. Never `openstack server set --state active`, rebuild or evacuate"
        " before that.",
    ),
    State.HANG: (
        "First see on {source} whether the command still runs: pgrep -af {guest}. A copy that makes progress needs time, not help.",
        "One that stands still: kill that ssh, scp or rsync by its pid. Nova then takes its own way back: ROLLBACK before the copy, powered off and"
        " ERROR from it on (hard reboot then, after a look at {dir} and {dir}_resize).",
        "Do not hard reboot and do not set the state beside a running copy: its later clean-up removes the running guest's directory.",
        "Nova-compute on {source} restarted meanwhile: it has reverted the move by itself; look at the disk, then hard reboot.",
    ),
    State.HANG_DESTINATION: (
        "First look into nova-compute.log of {destination} for {guest}: a failure of finish_resize there tells its own story, and"
        " fetching an image or converting the disk needs time, not help.",
        "Nothing of {guest} there: the message was lost, and ports and volumes are still {source}'s. Put the ports' binding host and the volumes'"
        " attachments right, then `openstack server reboot --hard {guest}`; a hard reboot before starts it without them.",
        "Never `openstack server set --state active`: it starts nothing. The disk is in {dir}_resize on {source} and in {dir} on {destination}:"
        " delete neither.",
    ),
    State.HARMLESS: ("Nothing to recover from this alone; look for what failed after it.",),
    State.UNKNOWN: (
        "First find the state: `openstack server show {guest}`, virsh list and `ls -la {ip}` on both hosts.",
        "It shows ERROR, runs on {source}, and no {dir}_resize is on either host: `openstack server set --state active {guest}` is safe. It is off,"
        " {source} has {dir}/disk and no {dir}_resize, and no copy runs: `openstack server reboot --hard {guest}`. Anything else: do neither,"
        " and delete nothing.",
    ),
}
RSYNC_MODE = (
    "rsync: a failed copy leaves the WHOLE instances directory of {destination} at mode 0700, so that no guest there can open its disk:"
    " chmod 0755 {ip} there now (stat -c %a {ip} shows it)."
)
GROWS = (
    "The disk has the new size when it arrives, the file system in the guest not yet. It grows by itself at the next boot where cloud-init's"
    " growpart runs; otherwise by hand in the guest: growpart /dev/vda 1, then resize2fs /dev/vda1 (ext4) or xfs_growfs / (XFS).",
    "Look into the guest BEFORE `openstack server resize confirm`: confirming deletes the old disk. A blank disk: `openstack server"
    " resize revert`. Confirmed already: what was copied may lie where nobody looks, on either host in the guest's directory below the SOURCE's"
    " instances path, or below a mount point.",
)

# The checks that see the cause before a resize does, and the host each runs on.
SEEN_BY: dict[str, tuple[tuple[str, str], ...]] = {
    "host_key_unknown": (("known_hosts", "source"),),
    "host_key_changed": (("known_hosts", "source"),),
    "host_key_revoked": (("known_hosts", "source"),),
    "known_hosts_unreadable": (("known_hosts", "source"),),
    "host_key_algorithms": (("known_hosts", "source"),),
    "client_config_invalid": (("ssh_config", "source"),),
    "identity_unreadable": (("identity", "source"),),
    "identity_mode": (("identity", "source"),),
    "identity_passphrase": (("identity", "source"),),
    "identity_broken": (("identity", "source"),),
    "identity_mismatch": (("identity", "source"),),
    "too_many_authentication_failures": (("self_dial", "source"),),
    "no_user_for_uid": (("nova_user", "source"),),
    "tool_missing": (("client_tools", "source"),),
    "command_missing": (("self_dial", "destination"),),
    "permission_denied": (
        ("identity", "source"),
        ("authorized_keys", "destination"),
        ("account", "destination"),
        ("strict_modes", "destination"),
        ("sshd", "destination"),
    ),
    "password_expired": (("account", "destination"),),
    "account_expired": (("account", "destination"),),
    "nologin_file": (("account", "destination"),),
    "login_closed": (("account", "destination"),),
    "connection_refused": (("sshd", "destination"),),
    "name_unresolvable": (("nova_address", "destination"),),
    "shell_refuses_commands": (("login_shell", "destination"),),
    "forced_command": (("authorized_keys", "destination"), ("sshd", "destination")),
    "sftp_only": (("sshd", "destination"),),
    "sftp_missing": (("sshd", "destination"),),
    "sftp_broken": (
        ("sshd", "destination"),
        ("login_shell", "destination"),
        ("file_size", "destination"),
    ),
    "shell_noise": (("self_dial", "destination"),),
    "channel_refused": (("self_dial", "destination"),),
    "rsync_missing_on_peer": (("copy_tools", "destination"),),
    "directory_denied": (("instances_directory", "destination"),),
    "read_only": (("instances_directory", "destination"),),
    "no_space": (("room", "destination"), ("file_size", "destination")),
    "no_inodes": (("room", "destination"),),
    "copy_failed": (("room", "destination"), ("instances_directory", "source")),
    "qemu_no_way": (("qemu_access", "destination"), ("self_dial", "destination")),
    "image_cache_differs": (("peer_settings", "destination"),),
    "undeletable_resize": (("leftovers", "source"),),
    "shared_touch_fails": (("room", "destination"), ("peer_settings", "source")),
}
# Those of the destination before it has to fetch a base image from the source, by name.
PULL_SEEN_BY: dict[str, tuple[str, ...]] = {
    "host_key_unknown": ("known_hosts",),
    "name_unresolvable": ("reverse_pull",),
    "host_key_changed": ("known_hosts",),
    "known_hosts_unreadable": ("known_hosts",),
    "client_config_invalid": ("ssh_config",),
    "identity_mode": ("identity",),
    "identity_unreadable": ("identity",),
    "no_space": ("room",),
}
NO_END = "no end of it is told: it is still going on, or it hangs, and Nova has no time limit"
LOOK_THERE = "look into its nova-compute.log"
NO_BASE_IMAGE = "the base image is gone from Glance, and the source does not have its file or nova may not read it there"
ON_SOURCE = {code for code, seen in SEEN_BY.items() if seen[0][1] == "source"} - {
    "permission_denied",
    "shared_touch_fails",
}
