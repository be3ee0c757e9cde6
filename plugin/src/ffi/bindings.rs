// Generated from mysql-headers/ by build.rs; MUSTER_BINDINGS=write writes it anew.

pub const MUSTER_PLUGIN_DAEMON: _bindgen_ty_1 = 3;
pub const MUSTER_PLUGIN_INFORMATION_SCHEMA: _bindgen_ty_1 = 4;
pub type _bindgen_ty_1 = ::core::ffi::c_uint;
pub const MUSTER_LICENSE_GPL: _bindgen_ty_2 = 1;
pub type _bindgen_ty_2 = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_info {
    pub interface_version: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_info"][::core::mem::size_of::<muster_info>() - 4usize];
    ["Alignment of muster_info"][::core::mem::align_of::<muster_info>() - 4usize];
    ["Offset of field: muster_info::interface_version"]
        [::core::mem::offset_of!(muster_info, interface_version) - 0usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_show_var {
    pub name: *const ::core::ffi::c_char,
    pub value: *mut ::core::ffi::c_char,
    pub type_: ::core::ffi::c_int,
    pub scope: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_show_var"][::core::mem::size_of::<muster_show_var>() - 24usize];
    ["Alignment of muster_show_var"][::core::mem::align_of::<muster_show_var>() - 8usize];
    ["Offset of field: muster_show_var::name"]
        [::core::mem::offset_of!(muster_show_var, name) - 0usize];
    ["Offset of field: muster_show_var::value"]
        [::core::mem::offset_of!(muster_show_var, value) - 8usize];
    ["Offset of field: muster_show_var::type_"]
        [::core::mem::offset_of!(muster_show_var, type_) - 16usize];
    ["Offset of field: muster_show_var::scope"]
        [::core::mem::offset_of!(muster_show_var, scope) - 20usize];
};
pub const MUSTER_SHOW_LONGLONG: _bindgen_ty_3 = 4;
pub const MUSTER_SHOW_CHAR: _bindgen_ty_3 = 5;
pub const MUSTER_SHOW_FUNC_MYSQL: _bindgen_ty_3 = 8;
pub const MUSTER_SHOW_FUNC_MARIA: _bindgen_ty_3 = 13;
pub type _bindgen_ty_3 = ::core::ffi::c_uint;
pub const MUSTER_SHOW_SCOPE_GLOBAL: _bindgen_ty_4 = 1;
pub type _bindgen_ty_4 = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_sys_var {
    pub flags: ::core::ffi::c_int,
    pub name: *const ::core::ffi::c_char,
    pub comment: *const ::core::ffi::c_char,
    pub check: *mut ::core::ffi::c_void,
    pub update: *mut ::core::ffi::c_void,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_sys_var"][::core::mem::size_of::<muster_sys_var>() - 40usize];
    ["Alignment of muster_sys_var"][::core::mem::align_of::<muster_sys_var>() - 8usize];
    ["Offset of field: muster_sys_var::flags"]
        [::core::mem::offset_of!(muster_sys_var, flags) - 0usize];
    ["Offset of field: muster_sys_var::name"]
        [::core::mem::offset_of!(muster_sys_var, name) - 8usize];
    ["Offset of field: muster_sys_var::comment"]
        [::core::mem::offset_of!(muster_sys_var, comment) - 16usize];
    ["Offset of field: muster_sys_var::check"]
        [::core::mem::offset_of!(muster_sys_var, check) - 24usize];
    ["Offset of field: muster_sys_var::update"]
        [::core::mem::offset_of!(muster_sys_var, update) - 32usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_sys_var_str {
    pub head: muster_sys_var,
    pub value: *mut *mut ::core::ffi::c_char,
    pub def: *mut ::core::ffi::c_char,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_sys_var_str"][::core::mem::size_of::<muster_sys_var_str>() - 56usize];
    ["Alignment of muster_sys_var_str"][::core::mem::align_of::<muster_sys_var_str>() - 8usize];
    ["Offset of field: muster_sys_var_str::head"]
        [::core::mem::offset_of!(muster_sys_var_str, head) - 0usize];
    ["Offset of field: muster_sys_var_str::value"]
        [::core::mem::offset_of!(muster_sys_var_str, value) - 40usize];
    ["Offset of field: muster_sys_var_str::def"]
        [::core::mem::offset_of!(muster_sys_var_str, def) - 48usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_sys_var_uint {
    pub head: muster_sys_var,
    pub value: *mut ::core::ffi::c_uint,
    pub def: ::core::ffi::c_uint,
    pub min: ::core::ffi::c_uint,
    pub max: ::core::ffi::c_uint,
    pub block: ::core::ffi::c_uint,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_sys_var_uint"][::core::mem::size_of::<muster_sys_var_uint>() - 64usize];
    ["Alignment of muster_sys_var_uint"][::core::mem::align_of::<muster_sys_var_uint>() - 8usize];
    ["Offset of field: muster_sys_var_uint::head"]
        [::core::mem::offset_of!(muster_sys_var_uint, head) - 0usize];
    ["Offset of field: muster_sys_var_uint::value"]
        [::core::mem::offset_of!(muster_sys_var_uint, value) - 40usize];
    ["Offset of field: muster_sys_var_uint::def"]
        [::core::mem::offset_of!(muster_sys_var_uint, def) - 48usize];
    ["Offset of field: muster_sys_var_uint::min"]
        [::core::mem::offset_of!(muster_sys_var_uint, min) - 52usize];
    ["Offset of field: muster_sys_var_uint::max"]
        [::core::mem::offset_of!(muster_sys_var_uint, max) - 56usize];
    ["Offset of field: muster_sys_var_uint::block"]
        [::core::mem::offset_of!(muster_sys_var_uint, block) - 60usize];
};
pub const MUSTER_VAR_INT: _bindgen_ty_5 = 2;
pub const MUSTER_VAR_STR: _bindgen_ty_5 = 5;
pub const MUSTER_VAR_UNSIGNED: _bindgen_ty_5 = 128;
pub const MUSTER_VAR_READONLY: _bindgen_ty_5 = 512;
pub const MUSTER_VAR_RQCMDARG: _bindgen_ty_5 = 0;
pub type _bindgen_ty_5 = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_field_iterator {
    pub vtable: *mut ::core::ffi::c_void,
    pub field: *mut *mut ::core::ffi::c_void,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_field_iterator"][::core::mem::size_of::<muster_field_iterator>() - 16usize];
    ["Alignment of muster_field_iterator"]
        [::core::mem::align_of::<muster_field_iterator>() - 8usize];
    ["Offset of field: muster_field_iterator::vtable"]
        [::core::mem::offset_of!(muster_field_iterator, vtable) - 0usize];
    ["Offset of field: muster_field_iterator::field"]
        [::core::mem::offset_of!(muster_field_iterator, field) - 8usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_field_head {
    pub vtable: *mut ::core::ffi::c_void,
    pub ptr: *mut ::core::ffi::c_uchar,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_field_head"][::core::mem::size_of::<muster_field_head>() - 16usize];
    ["Alignment of muster_field_head"][::core::mem::align_of::<muster_field_head>() - 8usize];
    ["Offset of field: muster_field_head::vtable"]
        [::core::mem::offset_of!(muster_field_head, vtable) - 0usize];
    ["Offset of field: muster_field_head::ptr"]
        [::core::mem::offset_of!(muster_field_head, ptr) - 8usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_maria_plugin {
    pub type_: ::core::ffi::c_int,
    pub info: *mut ::core::ffi::c_void,
    pub name: *const ::core::ffi::c_char,
    pub author: *const ::core::ffi::c_char,
    pub descr: *const ::core::ffi::c_char,
    pub license: ::core::ffi::c_int,
    pub init: ::core::option::Option<
        unsafe extern "C" fn(arg1: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub deinit: ::core::option::Option<
        unsafe extern "C" fn(arg1: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub version: ::core::ffi::c_uint,
    pub status_vars: *mut ::core::ffi::c_void,
    pub system_vars: *mut ::core::ffi::c_void,
    pub version_info: *const ::core::ffi::c_char,
    pub maturity: ::core::ffi::c_uint,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_maria_plugin"][::core::mem::size_of::<muster_maria_plugin>() - 104usize];
    ["Alignment of muster_maria_plugin"][::core::mem::align_of::<muster_maria_plugin>() - 8usize];
    ["Offset of field: muster_maria_plugin::type_"]
        [::core::mem::offset_of!(muster_maria_plugin, type_) - 0usize];
    ["Offset of field: muster_maria_plugin::info"]
        [::core::mem::offset_of!(muster_maria_plugin, info) - 8usize];
    ["Offset of field: muster_maria_plugin::name"]
        [::core::mem::offset_of!(muster_maria_plugin, name) - 16usize];
    ["Offset of field: muster_maria_plugin::author"]
        [::core::mem::offset_of!(muster_maria_plugin, author) - 24usize];
    ["Offset of field: muster_maria_plugin::descr"]
        [::core::mem::offset_of!(muster_maria_plugin, descr) - 32usize];
    ["Offset of field: muster_maria_plugin::license"]
        [::core::mem::offset_of!(muster_maria_plugin, license) - 40usize];
    ["Offset of field: muster_maria_plugin::init"]
        [::core::mem::offset_of!(muster_maria_plugin, init) - 48usize];
    ["Offset of field: muster_maria_plugin::deinit"]
        [::core::mem::offset_of!(muster_maria_plugin, deinit) - 56usize];
    ["Offset of field: muster_maria_plugin::version"]
        [::core::mem::offset_of!(muster_maria_plugin, version) - 64usize];
    ["Offset of field: muster_maria_plugin::status_vars"]
        [::core::mem::offset_of!(muster_maria_plugin, status_vars) - 72usize];
    ["Offset of field: muster_maria_plugin::system_vars"]
        [::core::mem::offset_of!(muster_maria_plugin, system_vars) - 80usize];
    ["Offset of field: muster_maria_plugin::version_info"]
        [::core::mem::offset_of!(muster_maria_plugin, version_info) - 88usize];
    ["Offset of field: muster_maria_plugin::maturity"]
        [::core::mem::offset_of!(muster_maria_plugin, maturity) - 96usize];
};
pub const MUSTER_MARIA_MATURITY_GAMMA: _bindgen_ty_6 = 4;
pub const MUSTER_MARIA_MATURITY_STABLE: _bindgen_ty_6 = 5;
pub type _bindgen_ty_6 = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_maria_field_info {
    pub type_handler: *mut ::core::ffi::c_void,
    pub char_length: ::core::ffi::c_uint,
    pub unsigned_flag: ::core::ffi::c_uint,
    pub typelib: *mut ::core::ffi::c_void,
    pub name: *const ::core::ffi::c_char,
    pub name_length: ::core::ffi::c_ulong,
    pub nullability: ::core::ffi::c_uint,
    pub old_name: *const ::core::ffi::c_char,
    pub old_name_length: ::core::ffi::c_ulong,
    pub open_method: ::core::ffi::c_uint,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_maria_field_info"]
        [::core::mem::size_of::<muster_maria_field_info>() - 72usize];
    ["Alignment of muster_maria_field_info"]
        [::core::mem::align_of::<muster_maria_field_info>() - 8usize];
    ["Offset of field: muster_maria_field_info::type_handler"]
        [::core::mem::offset_of!(muster_maria_field_info, type_handler) - 0usize];
    ["Offset of field: muster_maria_field_info::char_length"]
        [::core::mem::offset_of!(muster_maria_field_info, char_length) - 8usize];
    ["Offset of field: muster_maria_field_info::unsigned_flag"]
        [::core::mem::offset_of!(muster_maria_field_info, unsigned_flag) - 12usize];
    ["Offset of field: muster_maria_field_info::typelib"]
        [::core::mem::offset_of!(muster_maria_field_info, typelib) - 16usize];
    ["Offset of field: muster_maria_field_info::name"]
        [::core::mem::offset_of!(muster_maria_field_info, name) - 24usize];
    ["Offset of field: muster_maria_field_info::name_length"]
        [::core::mem::offset_of!(muster_maria_field_info, name_length) - 32usize];
    ["Offset of field: muster_maria_field_info::nullability"]
        [::core::mem::offset_of!(muster_maria_field_info, nullability) - 40usize];
    ["Offset of field: muster_maria_field_info::old_name"]
        [::core::mem::offset_of!(muster_maria_field_info, old_name) - 48usize];
    ["Offset of field: muster_maria_field_info::old_name_length"]
        [::core::mem::offset_of!(muster_maria_field_info, old_name_length) - 56usize];
    ["Offset of field: muster_maria_field_info::open_method"]
        [::core::mem::offset_of!(muster_maria_field_info, open_method) - 64usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_maria_schema_table {
    pub table_name: *const ::core::ffi::c_char,
    pub fields_info: *mut muster_maria_field_info,
    pub reset_table: *mut ::core::ffi::c_void,
    pub fill_table: ::core::option::Option<
        unsafe extern "C" fn(
            thd: *mut ::core::ffi::c_void,
            table_list: *mut ::core::ffi::c_void,
            cond: *mut ::core::ffi::c_void,
        ) -> ::core::ffi::c_int,
    >,
    pub old_format: *mut ::core::ffi::c_void,
    pub process_table: *mut ::core::ffi::c_void,
    pub idx_field1: ::core::ffi::c_int,
    pub idx_field2: ::core::ffi::c_int,
    pub hidden: ::core::ffi::c_uchar,
    pub i_s_requested_object: ::core::ffi::c_uint,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_maria_schema_table"]
        [::core::mem::size_of::<muster_maria_schema_table>() - 64usize];
    ["Alignment of muster_maria_schema_table"]
        [::core::mem::align_of::<muster_maria_schema_table>() - 8usize];
    ["Offset of field: muster_maria_schema_table::table_name"]
        [::core::mem::offset_of!(muster_maria_schema_table, table_name) - 0usize];
    ["Offset of field: muster_maria_schema_table::fields_info"]
        [::core::mem::offset_of!(muster_maria_schema_table, fields_info) - 8usize];
    ["Offset of field: muster_maria_schema_table::reset_table"]
        [::core::mem::offset_of!(muster_maria_schema_table, reset_table) - 16usize];
    ["Offset of field: muster_maria_schema_table::fill_table"]
        [::core::mem::offset_of!(muster_maria_schema_table, fill_table) - 24usize];
    ["Offset of field: muster_maria_schema_table::old_format"]
        [::core::mem::offset_of!(muster_maria_schema_table, old_format) - 32usize];
    ["Offset of field: muster_maria_schema_table::process_table"]
        [::core::mem::offset_of!(muster_maria_schema_table, process_table) - 40usize];
    ["Offset of field: muster_maria_schema_table::idx_field1"]
        [::core::mem::offset_of!(muster_maria_schema_table, idx_field1) - 48usize];
    ["Offset of field: muster_maria_schema_table::idx_field2"]
        [::core::mem::offset_of!(muster_maria_schema_table, idx_field2) - 52usize];
    ["Offset of field: muster_maria_schema_table::hidden"]
        [::core::mem::offset_of!(muster_maria_schema_table, hidden) - 56usize];
    ["Offset of field: muster_maria_schema_table::i_s_requested_object"]
        [::core::mem::offset_of!(muster_maria_schema_table, i_s_requested_object) - 60usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_plugin {
    pub type_: ::core::ffi::c_int,
    pub info: *mut ::core::ffi::c_void,
    pub name: *const ::core::ffi::c_char,
    pub author: *const ::core::ffi::c_char,
    pub descr: *const ::core::ffi::c_char,
    pub license: ::core::ffi::c_int,
    pub init: ::core::option::Option<
        unsafe extern "C" fn(arg1: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub check_uninstall: ::core::option::Option<
        unsafe extern "C" fn(arg1: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub deinit: ::core::option::Option<
        unsafe extern "C" fn(arg1: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub version: ::core::ffi::c_uint,
    pub status_vars: *mut ::core::ffi::c_void,
    pub system_vars: *mut ::core::ffi::c_void,
    pub reserved: *mut ::core::ffi::c_void,
    pub flags: ::core::ffi::c_ulong,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_plugin"][::core::mem::size_of::<muster_mysql_plugin>() - 112usize];
    ["Alignment of muster_mysql_plugin"][::core::mem::align_of::<muster_mysql_plugin>() - 8usize];
    ["Offset of field: muster_mysql_plugin::type_"]
        [::core::mem::offset_of!(muster_mysql_plugin, type_) - 0usize];
    ["Offset of field: muster_mysql_plugin::info"]
        [::core::mem::offset_of!(muster_mysql_plugin, info) - 8usize];
    ["Offset of field: muster_mysql_plugin::name"]
        [::core::mem::offset_of!(muster_mysql_plugin, name) - 16usize];
    ["Offset of field: muster_mysql_plugin::author"]
        [::core::mem::offset_of!(muster_mysql_plugin, author) - 24usize];
    ["Offset of field: muster_mysql_plugin::descr"]
        [::core::mem::offset_of!(muster_mysql_plugin, descr) - 32usize];
    ["Offset of field: muster_mysql_plugin::license"]
        [::core::mem::offset_of!(muster_mysql_plugin, license) - 40usize];
    ["Offset of field: muster_mysql_plugin::init"]
        [::core::mem::offset_of!(muster_mysql_plugin, init) - 48usize];
    ["Offset of field: muster_mysql_plugin::check_uninstall"]
        [::core::mem::offset_of!(muster_mysql_plugin, check_uninstall) - 56usize];
    ["Offset of field: muster_mysql_plugin::deinit"]
        [::core::mem::offset_of!(muster_mysql_plugin, deinit) - 64usize];
    ["Offset of field: muster_mysql_plugin::version"]
        [::core::mem::offset_of!(muster_mysql_plugin, version) - 72usize];
    ["Offset of field: muster_mysql_plugin::status_vars"]
        [::core::mem::offset_of!(muster_mysql_plugin, status_vars) - 80usize];
    ["Offset of field: muster_mysql_plugin::system_vars"]
        [::core::mem::offset_of!(muster_mysql_plugin, system_vars) - 88usize];
    ["Offset of field: muster_mysql_plugin::reserved"]
        [::core::mem::offset_of!(muster_mysql_plugin, reserved) - 96usize];
    ["Offset of field: muster_mysql_plugin::flags"]
        [::core::mem::offset_of!(muster_mysql_plugin, flags) - 104usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_plugin_int {
    pub name: *const ::core::ffi::c_char,
    pub name_length: ::core::ffi::c_ulong,
    pub plugin: *mut muster_mysql_plugin,
    pub plugin_dl: *mut ::core::ffi::c_void,
    pub state: ::core::ffi::c_uint,
    pub ref_count: ::core::ffi::c_uint,
    pub data: *mut ::core::ffi::c_void,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_plugin_int"]
        [::core::mem::size_of::<muster_mysql_plugin_int>() - 48usize];
    ["Alignment of muster_mysql_plugin_int"]
        [::core::mem::align_of::<muster_mysql_plugin_int>() - 8usize];
    ["Offset of field: muster_mysql_plugin_int::name"]
        [::core::mem::offset_of!(muster_mysql_plugin_int, name) - 0usize];
    ["Offset of field: muster_mysql_plugin_int::name_length"]
        [::core::mem::offset_of!(muster_mysql_plugin_int, name_length) - 8usize];
    ["Offset of field: muster_mysql_plugin_int::plugin"]
        [::core::mem::offset_of!(muster_mysql_plugin_int, plugin) - 16usize];
    ["Offset of field: muster_mysql_plugin_int::plugin_dl"]
        [::core::mem::offset_of!(muster_mysql_plugin_int, plugin_dl) - 24usize];
    ["Offset of field: muster_mysql_plugin_int::state"]
        [::core::mem::offset_of!(muster_mysql_plugin_int, state) - 32usize];
    ["Offset of field: muster_mysql_plugin_int::ref_count"]
        [::core::mem::offset_of!(muster_mysql_plugin_int, ref_count) - 36usize];
    ["Offset of field: muster_mysql_plugin_int::data"]
        [::core::mem::offset_of!(muster_mysql_plugin_int, data) - 40usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_field_info {
    pub field_name: *const ::core::ffi::c_char,
    pub field_length: ::core::ffi::c_uint,
    pub field_type: ::core::ffi::c_int,
    pub value: ::core::ffi::c_int,
    pub field_flags: ::core::ffi::c_uint,
    pub old_name: *const ::core::ffi::c_char,
    pub open_method: ::core::ffi::c_uint,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_field_info"]
        [::core::mem::size_of::<muster_mysql_field_info>() - 40usize];
    ["Alignment of muster_mysql_field_info"]
        [::core::mem::align_of::<muster_mysql_field_info>() - 8usize];
    ["Offset of field: muster_mysql_field_info::field_name"]
        [::core::mem::offset_of!(muster_mysql_field_info, field_name) - 0usize];
    ["Offset of field: muster_mysql_field_info::field_length"]
        [::core::mem::offset_of!(muster_mysql_field_info, field_length) - 8usize];
    ["Offset of field: muster_mysql_field_info::field_type"]
        [::core::mem::offset_of!(muster_mysql_field_info, field_type) - 12usize];
    ["Offset of field: muster_mysql_field_info::value"]
        [::core::mem::offset_of!(muster_mysql_field_info, value) - 16usize];
    ["Offset of field: muster_mysql_field_info::field_flags"]
        [::core::mem::offset_of!(muster_mysql_field_info, field_flags) - 20usize];
    ["Offset of field: muster_mysql_field_info::old_name"]
        [::core::mem::offset_of!(muster_mysql_field_info, old_name) - 24usize];
    ["Offset of field: muster_mysql_field_info::open_method"]
        [::core::mem::offset_of!(muster_mysql_field_info, open_method) - 32usize];
};
pub const MUSTER_MYSQL_TYPE_LONG: _bindgen_ty_7 = 3;
pub const MUSTER_MYSQL_TYPE_DOUBLE: _bindgen_ty_7 = 5;
pub const MUSTER_MYSQL_TYPE_LONGLONG: _bindgen_ty_7 = 8;
pub const MUSTER_MYSQL_TYPE_DATETIME: _bindgen_ty_7 = 12;
pub const MUSTER_MYSQL_TYPE_STRING: _bindgen_ty_7 = 254;
pub type _bindgen_ty_7 = ::core::ffi::c_uint;
pub const MUSTER_MYSQL_MAYBE_NULL: _bindgen_ty_8 = 1;
pub const MUSTER_MYSQL_UNSIGNED: _bindgen_ty_8 = 2;
pub type _bindgen_ty_8 = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_schema_table {
    pub table_name: *const ::core::ffi::c_char,
    pub fields_info: *mut muster_mysql_field_info,
    pub fill_table: ::core::option::Option<
        unsafe extern "C" fn(
            thd: *mut ::core::ffi::c_void,
            table_ref: *mut ::core::ffi::c_void,
            cond: *mut ::core::ffi::c_void,
        ) -> ::core::ffi::c_int,
    >,
    pub old_format: *mut ::core::ffi::c_void,
    pub process_table: *mut ::core::ffi::c_void,
    pub hidden: ::core::ffi::c_uchar,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_schema_table"]
        [::core::mem::size_of::<muster_mysql_schema_table>() - 48usize];
    ["Alignment of muster_mysql_schema_table"]
        [::core::mem::align_of::<muster_mysql_schema_table>() - 8usize];
    ["Offset of field: muster_mysql_schema_table::table_name"]
        [::core::mem::offset_of!(muster_mysql_schema_table, table_name) - 0usize];
    ["Offset of field: muster_mysql_schema_table::fields_info"]
        [::core::mem::offset_of!(muster_mysql_schema_table, fields_info) - 8usize];
    ["Offset of field: muster_mysql_schema_table::fill_table"]
        [::core::mem::offset_of!(muster_mysql_schema_table, fill_table) - 16usize];
    ["Offset of field: muster_mysql_schema_table::old_format"]
        [::core::mem::offset_of!(muster_mysql_schema_table, old_format) - 24usize];
    ["Offset of field: muster_mysql_schema_table::process_table"]
        [::core::mem::offset_of!(muster_mysql_schema_table, process_table) - 32usize];
    ["Offset of field: muster_mysql_schema_table::hidden"]
        [::core::mem::offset_of!(muster_mysql_schema_table, hidden) - 40usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_log_service {
    pub message: ::core::option::Option<
        unsafe extern "C" fn(
            plugin: *mut *mut ::core::ffi::c_void,
            level: ::core::ffi::c_int,
            format: *const ::core::ffi::c_char,
            ...
        ) -> ::core::ffi::c_int,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_log_service"]
        [::core::mem::size_of::<muster_mysql_log_service>() - 8usize];
    ["Alignment of muster_mysql_log_service"]
        [::core::mem::align_of::<muster_mysql_log_service>() - 8usize];
    ["Offset of field: muster_mysql_log_service::message"]
        [::core::mem::offset_of!(muster_mysql_log_service, message) - 0usize];
};
pub const MUSTER_MYSQL_LOG_ERROR: _bindgen_ty_9 = 0;
pub const MUSTER_MYSQL_LOG_WARNING: _bindgen_ty_9 = 1;
pub const MUSTER_MYSQL_LOG_NOTE: _bindgen_ty_9 = 2;
pub type _bindgen_ty_9 = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_timeval {
    pub seconds: ::core::ffi::c_long,
    pub microseconds: ::core::ffi::c_long,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_timeval"][::core::mem::size_of::<muster_mysql_timeval>() - 16usize];
    ["Alignment of muster_mysql_timeval"][::core::mem::align_of::<muster_mysql_timeval>() - 8usize];
    ["Offset of field: muster_mysql_timeval::seconds"]
        [::core::mem::offset_of!(muster_mysql_timeval, seconds) - 0usize];
    ["Offset of field: muster_mysql_timeval::microseconds"]
        [::core::mem::offset_of!(muster_mysql_timeval, microseconds) - 8usize];
};
