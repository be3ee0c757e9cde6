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
pub type muster_bool = bool;
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_session_service {
    pub init_thread: ::core::option::Option<
        unsafe extern "C" fn(plugin: *const ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub deinit_thread: ::core::option::Option<unsafe extern "C" fn()>,
    pub open: ::core::option::Option<
        unsafe extern "C" fn(
            error: ::core::option::Option<
                unsafe extern "C" fn(
                    context: *mut ::core::ffi::c_void,
                    code: ::core::ffi::c_uint,
                    text: *const ::core::ffi::c_char,
                ),
            >,
            context: *mut ::core::ffi::c_void,
        ) -> *mut ::core::ffi::c_void,
    >,
    pub detach: ::core::option::Option<
        unsafe extern "C" fn(session: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub close: ::core::option::Option<
        unsafe extern "C" fn(session: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub server_is_available: ::core::option::Option<unsafe extern "C" fn() -> ::core::ffi::c_int>,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_session_service"]
        [::core::mem::size_of::<muster_mysql_session_service>() - 48usize];
    ["Alignment of muster_mysql_session_service"]
        [::core::mem::align_of::<muster_mysql_session_service>() - 8usize];
    ["Offset of field: muster_mysql_session_service::init_thread"]
        [::core::mem::offset_of!(muster_mysql_session_service, init_thread) - 0usize];
    ["Offset of field: muster_mysql_session_service::deinit_thread"]
        [::core::mem::offset_of!(muster_mysql_session_service, deinit_thread) - 8usize];
    ["Offset of field: muster_mysql_session_service::open"]
        [::core::mem::offset_of!(muster_mysql_session_service, open) - 16usize];
    ["Offset of field: muster_mysql_session_service::detach"]
        [::core::mem::offset_of!(muster_mysql_session_service, detach) - 24usize];
    ["Offset of field: muster_mysql_session_service::close"]
        [::core::mem::offset_of!(muster_mysql_session_service, close) - 32usize];
    ["Offset of field: muster_mysql_session_service::server_is_available"]
        [::core::mem::offset_of!(muster_mysql_session_service, server_is_available) - 40usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_session_info_service {
    pub get_thd: ::core::option::Option<
        unsafe extern "C" fn(session: *mut ::core::ffi::c_void) -> *mut ::core::ffi::c_void,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_session_info_service"]
        [::core::mem::size_of::<muster_mysql_session_info_service>() - 8usize];
    ["Alignment of muster_mysql_session_info_service"]
        [::core::mem::align_of::<muster_mysql_session_info_service>() - 8usize];
    ["Offset of field: muster_mysql_session_info_service::get_thd"]
        [::core::mem::offset_of!(muster_mysql_session_info_service, get_thd) - 0usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_security_service {
    pub thd_get: ::core::option::Option<
        unsafe extern "C" fn(
            thd: *mut ::core::ffi::c_void,
            context: *mut *mut ::core::ffi::c_void,
        ) -> ::core::ffi::c_schar,
    >,
    pub thd_set: ::core::option::Option<
        unsafe extern "C" fn(
            thd: *mut ::core::ffi::c_void,
            context: *mut ::core::ffi::c_void,
        ) -> ::core::ffi::c_schar,
    >,
    pub create: ::core::option::Option<
        unsafe extern "C" fn(context: *mut *mut ::core::ffi::c_void) -> ::core::ffi::c_schar,
    >,
    pub destroy: ::core::option::Option<
        unsafe extern "C" fn(context: *mut ::core::ffi::c_void) -> ::core::ffi::c_schar,
    >,
    pub copy: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            copied: *mut *mut ::core::ffi::c_void,
        ) -> ::core::ffi::c_schar,
    >,
    pub lookup: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            user: *const ::core::ffi::c_char,
            host: *const ::core::ffi::c_char,
            ip: *const ::core::ffi::c_char,
            database: *const ::core::ffi::c_char,
        ) -> ::core::ffi::c_schar,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_security_service"]
        [::core::mem::size_of::<muster_mysql_security_service>() - 48usize];
    ["Alignment of muster_mysql_security_service"]
        [::core::mem::align_of::<muster_mysql_security_service>() - 8usize];
    ["Offset of field: muster_mysql_security_service::thd_get"]
        [::core::mem::offset_of!(muster_mysql_security_service, thd_get) - 0usize];
    ["Offset of field: muster_mysql_security_service::thd_set"]
        [::core::mem::offset_of!(muster_mysql_security_service, thd_set) - 8usize];
    ["Offset of field: muster_mysql_security_service::create"]
        [::core::mem::offset_of!(muster_mysql_security_service, create) - 16usize];
    ["Offset of field: muster_mysql_security_service::destroy"]
        [::core::mem::offset_of!(muster_mysql_security_service, destroy) - 24usize];
    ["Offset of field: muster_mysql_security_service::copy"]
        [::core::mem::offset_of!(muster_mysql_security_service, copy) - 32usize];
    ["Offset of field: muster_mysql_security_service::lookup"]
        [::core::mem::offset_of!(muster_mysql_security_service, lookup) - 40usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_com_query {
    pub query: *const ::core::ffi::c_char,
    pub length: ::core::ffi::c_uint,
    pub parameters: *mut ::core::ffi::c_void,
    pub parameter_count: ::core::ffi::c_ulong,
    pub has_new_types: ::core::ffi::c_uchar,
    pub room: [::core::ffi::c_uchar; 128usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_com_query"][::core::mem::size_of::<muster_mysql_com_query>() - 168usize];
    ["Alignment of muster_mysql_com_query"]
        [::core::mem::align_of::<muster_mysql_com_query>() - 8usize];
    ["Offset of field: muster_mysql_com_query::query"]
        [::core::mem::offset_of!(muster_mysql_com_query, query) - 0usize];
    ["Offset of field: muster_mysql_com_query::length"]
        [::core::mem::offset_of!(muster_mysql_com_query, length) - 8usize];
    ["Offset of field: muster_mysql_com_query::parameters"]
        [::core::mem::offset_of!(muster_mysql_com_query, parameters) - 16usize];
    ["Offset of field: muster_mysql_com_query::parameter_count"]
        [::core::mem::offset_of!(muster_mysql_com_query, parameter_count) - 24usize];
    ["Offset of field: muster_mysql_com_query::has_new_types"]
        [::core::mem::offset_of!(muster_mysql_com_query, has_new_types) - 32usize];
    ["Offset of field: muster_mysql_com_query::room"]
        [::core::mem::offset_of!(muster_mysql_com_query, room) - 33usize];
};
pub const MUSTER_MYSQL_COM_QUERY: _bindgen_ty_10 = 3;
pub const MUSTER_MYSQL_TEXT_RESULT: _bindgen_ty_10 = 1;
pub type _bindgen_ty_10 = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_send_field {
    pub database: *const ::core::ffi::c_char,
    pub table: *const ::core::ffi::c_char,
    pub original_table: *const ::core::ffi::c_char,
    pub column: *const ::core::ffi::c_char,
    pub original_column: *const ::core::ffi::c_char,
    pub length: ::core::ffi::c_ulong,
    pub charset: ::core::ffi::c_uint,
    pub flags: ::core::ffi::c_uint,
    pub decimals: ::core::ffi::c_uint,
    pub type_: ::core::ffi::c_int,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_send_field"]
        [::core::mem::size_of::<muster_mysql_send_field>() - 64usize];
    ["Alignment of muster_mysql_send_field"]
        [::core::mem::align_of::<muster_mysql_send_field>() - 8usize];
    ["Offset of field: muster_mysql_send_field::database"]
        [::core::mem::offset_of!(muster_mysql_send_field, database) - 0usize];
    ["Offset of field: muster_mysql_send_field::table"]
        [::core::mem::offset_of!(muster_mysql_send_field, table) - 8usize];
    ["Offset of field: muster_mysql_send_field::original_table"]
        [::core::mem::offset_of!(muster_mysql_send_field, original_table) - 16usize];
    ["Offset of field: muster_mysql_send_field::column"]
        [::core::mem::offset_of!(muster_mysql_send_field, column) - 24usize];
    ["Offset of field: muster_mysql_send_field::original_column"]
        [::core::mem::offset_of!(muster_mysql_send_field, original_column) - 32usize];
    ["Offset of field: muster_mysql_send_field::length"]
        [::core::mem::offset_of!(muster_mysql_send_field, length) - 40usize];
    ["Offset of field: muster_mysql_send_field::charset"]
        [::core::mem::offset_of!(muster_mysql_send_field, charset) - 48usize];
    ["Offset of field: muster_mysql_send_field::flags"]
        [::core::mem::offset_of!(muster_mysql_send_field, flags) - 52usize];
    ["Offset of field: muster_mysql_send_field::decimals"]
        [::core::mem::offset_of!(muster_mysql_send_field, decimals) - 56usize];
    ["Offset of field: muster_mysql_send_field::type_"]
        [::core::mem::offset_of!(muster_mysql_send_field, type_) - 60usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_result_callbacks {
    pub start_result_metadata: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            columns: ::core::ffi::c_uint,
            flags: ::core::ffi::c_uint,
            charset: *const ::core::ffi::c_void,
        ) -> ::core::ffi::c_int,
    >,
    pub field_metadata: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            field: *mut muster_mysql_send_field,
            charset: *const ::core::ffi::c_void,
        ) -> ::core::ffi::c_int,
    >,
    pub end_result_metadata: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            status: ::core::ffi::c_uint,
            warnings: ::core::ffi::c_uint,
        ) -> ::core::ffi::c_int,
    >,
    pub start_row: ::core::option::Option<
        unsafe extern "C" fn(context: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub end_row: ::core::option::Option<
        unsafe extern "C" fn(context: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub abort_row: ::core::option::Option<unsafe extern "C" fn(context: *mut ::core::ffi::c_void)>,
    pub get_client_capabilities: ::core::option::Option<
        unsafe extern "C" fn(context: *mut ::core::ffi::c_void) -> ::core::ffi::c_ulong,
    >,
    pub get_null: ::core::option::Option<
        unsafe extern "C" fn(context: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub get_integer: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            value: ::core::ffi::c_longlong,
        ) -> ::core::ffi::c_int,
    >,
    pub get_longlong: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            value: ::core::ffi::c_longlong,
            is_unsigned: ::core::ffi::c_uint,
        ) -> ::core::ffi::c_int,
    >,
    pub get_decimal: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            value: *const ::core::ffi::c_void,
        ) -> ::core::ffi::c_int,
    >,
    pub get_double: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            value: f64,
            decimals: ::core::ffi::c_uint,
        ) -> ::core::ffi::c_int,
    >,
    pub get_date: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            value: *const ::core::ffi::c_void,
        ) -> ::core::ffi::c_int,
    >,
    pub get_time: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            value: *const ::core::ffi::c_void,
            decimals: ::core::ffi::c_uint,
        ) -> ::core::ffi::c_int,
    >,
    pub get_datetime: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            value: *const ::core::ffi::c_void,
            decimals: ::core::ffi::c_uint,
        ) -> ::core::ffi::c_int,
    >,
    pub get_string: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            value: *const ::core::ffi::c_char,
            length: ::core::ffi::c_ulong,
            charset: *const ::core::ffi::c_void,
        ) -> ::core::ffi::c_int,
    >,
    pub handle_ok: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            status: ::core::ffi::c_uint,
            warnings: ::core::ffi::c_uint,
            affected: ::core::ffi::c_ulonglong,
            last_insert_id: ::core::ffi::c_ulonglong,
            message: *const ::core::ffi::c_char,
        ),
    >,
    pub handle_error: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            code: ::core::ffi::c_uint,
            text: *const ::core::ffi::c_char,
            sqlstate: *const ::core::ffi::c_char,
        ),
    >,
    pub shutdown: ::core::option::Option<
        unsafe extern "C" fn(context: *mut ::core::ffi::c_void, flag: ::core::ffi::c_int),
    >,
    pub connection_alive: ::core::option::Option<
        unsafe extern "C" fn(context: *mut ::core::ffi::c_void) -> muster_bool,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_result_callbacks"]
        [::core::mem::size_of::<muster_mysql_result_callbacks>() - 160usize];
    ["Alignment of muster_mysql_result_callbacks"]
        [::core::mem::align_of::<muster_mysql_result_callbacks>() - 8usize];
    ["Offset of field: muster_mysql_result_callbacks::start_result_metadata"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, start_result_metadata) - 0usize];
    ["Offset of field: muster_mysql_result_callbacks::field_metadata"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, field_metadata) - 8usize];
    ["Offset of field: muster_mysql_result_callbacks::end_result_metadata"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, end_result_metadata) - 16usize];
    ["Offset of field: muster_mysql_result_callbacks::start_row"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, start_row) - 24usize];
    ["Offset of field: muster_mysql_result_callbacks::end_row"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, end_row) - 32usize];
    ["Offset of field: muster_mysql_result_callbacks::abort_row"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, abort_row) - 40usize];
    ["Offset of field: muster_mysql_result_callbacks::get_client_capabilities"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, get_client_capabilities) - 48usize];
    ["Offset of field: muster_mysql_result_callbacks::get_null"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, get_null) - 56usize];
    ["Offset of field: muster_mysql_result_callbacks::get_integer"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, get_integer) - 64usize];
    ["Offset of field: muster_mysql_result_callbacks::get_longlong"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, get_longlong) - 72usize];
    ["Offset of field: muster_mysql_result_callbacks::get_decimal"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, get_decimal) - 80usize];
    ["Offset of field: muster_mysql_result_callbacks::get_double"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, get_double) - 88usize];
    ["Offset of field: muster_mysql_result_callbacks::get_date"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, get_date) - 96usize];
    ["Offset of field: muster_mysql_result_callbacks::get_time"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, get_time) - 104usize];
    ["Offset of field: muster_mysql_result_callbacks::get_datetime"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, get_datetime) - 112usize];
    ["Offset of field: muster_mysql_result_callbacks::get_string"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, get_string) - 120usize];
    ["Offset of field: muster_mysql_result_callbacks::handle_ok"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, handle_ok) - 128usize];
    ["Offset of field: muster_mysql_result_callbacks::handle_error"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, handle_error) - 136usize];
    ["Offset of field: muster_mysql_result_callbacks::shutdown"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, shutdown) - 144usize];
    ["Offset of field: muster_mysql_result_callbacks::connection_alive"]
        [::core::mem::offset_of!(muster_mysql_result_callbacks, connection_alive) - 152usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_command_service {
    pub run_command: ::core::option::Option<
        unsafe extern "C" fn(
            session: *mut ::core::ffi::c_void,
            command: ::core::ffi::c_int,
            data: *const muster_mysql_com_query,
            charset: *const ::core::ffi::c_void,
            callbacks: *const muster_mysql_result_callbacks,
            representation: ::core::ffi::c_int,
            context: *mut ::core::ffi::c_void,
        ) -> ::core::ffi::c_int,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_command_service"]
        [::core::mem::size_of::<muster_mysql_command_service>() - 8usize];
    ["Alignment of muster_mysql_command_service"]
        [::core::mem::align_of::<muster_mysql_command_service>() - 8usize];
    ["Offset of field: muster_mysql_command_service::run_command"]
        [::core::mem::offset_of!(muster_mysql_command_service, run_command) - 0usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_registry_service {
    pub acquire: ::core::option::Option<unsafe extern "C" fn() -> *mut ::core::ffi::c_void>,
    pub release: ::core::option::Option<
        unsafe extern "C" fn(registry: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_registry_service"]
        [::core::mem::size_of::<muster_mysql_registry_service>() - 16usize];
    ["Alignment of muster_mysql_registry_service"]
        [::core::mem::align_of::<muster_mysql_registry_service>() - 8usize];
    ["Offset of field: muster_mysql_registry_service::acquire"]
        [::core::mem::offset_of!(muster_mysql_registry_service, acquire) - 0usize];
    ["Offset of field: muster_mysql_registry_service::release"]
        [::core::mem::offset_of!(muster_mysql_registry_service, release) - 8usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_registry {
    pub acquire: ::core::option::Option<
        unsafe extern "C" fn(
            name: *const ::core::ffi::c_char,
            service: *mut *mut ::core::ffi::c_void,
        ) -> muster_bool,
    >,
    pub acquire_related: ::core::option::Option<
        unsafe extern "C" fn(
            name: *const ::core::ffi::c_char,
            service: *mut ::core::ffi::c_void,
            related: *mut *mut ::core::ffi::c_void,
        ) -> muster_bool,
    >,
    pub release: ::core::option::Option<
        unsafe extern "C" fn(service: *mut ::core::ffi::c_void) -> muster_bool,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_registry"][::core::mem::size_of::<muster_mysql_registry>() - 24usize];
    ["Alignment of muster_mysql_registry"]
        [::core::mem::align_of::<muster_mysql_registry>() - 8usize];
    ["Offset of field: muster_mysql_registry::acquire"]
        [::core::mem::offset_of!(muster_mysql_registry, acquire) - 0usize];
    ["Offset of field: muster_mysql_registry::acquire_related"]
        [::core::mem::offset_of!(muster_mysql_registry, acquire_related) - 8usize];
    ["Offset of field: muster_mysql_registry::release"]
        [::core::mem::offset_of!(muster_mysql_registry, release) - 16usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_variable_reader {
    pub get: ::core::option::Option<
        unsafe extern "C" fn(
            thd: *mut ::core::ffi::c_void,
            scope: *const ::core::ffi::c_char,
            component: *const ::core::ffi::c_char,
            name: *const ::core::ffi::c_char,
            buffer: *mut *mut ::core::ffi::c_void,
            length: *mut ::core::ffi::c_ulong,
        ) -> muster_bool,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_variable_reader"]
        [::core::mem::size_of::<muster_mysql_variable_reader>() - 8usize];
    ["Alignment of muster_mysql_variable_reader"]
        [::core::mem::align_of::<muster_mysql_variable_reader>() - 8usize];
    ["Offset of field: muster_mysql_variable_reader::get"]
        [::core::mem::offset_of!(muster_mysql_variable_reader, get) - 0usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_status_reader {
    pub get: ::core::option::Option<
        unsafe extern "C" fn(
            thd: *mut ::core::ffi::c_void,
            name: *const ::core::ffi::c_char,
            global: muster_bool,
            string: *mut *mut ::core::ffi::c_void,
        ) -> muster_bool,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_status_reader"]
        [::core::mem::size_of::<muster_mysql_status_reader>() - 8usize];
    ["Alignment of muster_mysql_status_reader"]
        [::core::mem::align_of::<muster_mysql_status_reader>() - 8usize];
    ["Offset of field: muster_mysql_status_reader::get"]
        [::core::mem::offset_of!(muster_mysql_status_reader, get) - 0usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_string_factory {
    pub create: ::core::option::Option<
        unsafe extern "C" fn(string: *mut *mut ::core::ffi::c_void) -> muster_bool,
    >,
    pub destroy: ::core::option::Option<unsafe extern "C" fn(string: *mut ::core::ffi::c_void)>,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_string_factory"]
        [::core::mem::size_of::<muster_mysql_string_factory>() - 16usize];
    ["Alignment of muster_mysql_string_factory"]
        [::core::mem::align_of::<muster_mysql_string_factory>() - 8usize];
    ["Offset of field: muster_mysql_string_factory::create"]
        [::core::mem::offset_of!(muster_mysql_string_factory, create) - 0usize];
    ["Offset of field: muster_mysql_string_factory::destroy"]
        [::core::mem::offset_of!(muster_mysql_string_factory, destroy) - 8usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_string_converter {
    pub convert_from_buffer: ::core::option::Option<
        unsafe extern "C" fn(
            string: *mut *mut ::core::ffi::c_void,
            buffer: *const ::core::ffi::c_char,
            length: ::core::ffi::c_ulong,
            charset: *const ::core::ffi::c_char,
        ) -> muster_bool,
    >,
    pub convert_to_buffer: ::core::option::Option<
        unsafe extern "C" fn(
            string: *mut ::core::ffi::c_void,
            buffer: *mut ::core::ffi::c_char,
            length: ::core::ffi::c_ulong,
            charset: *const ::core::ffi::c_char,
        ) -> muster_bool,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_string_converter"]
        [::core::mem::size_of::<muster_mysql_string_converter>() - 16usize];
    ["Alignment of muster_mysql_string_converter"]
        [::core::mem::align_of::<muster_mysql_string_converter>() - 8usize];
    ["Offset of field: muster_mysql_string_converter::convert_from_buffer"]
        [::core::mem::offset_of!(muster_mysql_string_converter, convert_from_buffer) - 0usize];
    ["Offset of field: muster_mysql_string_converter::convert_to_buffer"]
        [::core::mem::offset_of!(muster_mysql_string_converter, convert_to_buffer) - 8usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_mysql_server_state_observer {
    pub length: ::core::ffi::c_uint,
    pub before_handle_connection: ::core::option::Option<
        unsafe extern "C" fn(param: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub before_recovery: ::core::option::Option<
        unsafe extern "C" fn(param: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub after_engine_recovery: ::core::option::Option<
        unsafe extern "C" fn(param: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub after_recovery: ::core::option::Option<
        unsafe extern "C" fn(param: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub before_server_shutdown: ::core::option::Option<
        unsafe extern "C" fn(param: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub after_server_shutdown: ::core::option::Option<
        unsafe extern "C" fn(param: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
    pub after_dd_upgrade: ::core::option::Option<
        unsafe extern "C" fn(param: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_mysql_server_state_observer"]
        [::core::mem::size_of::<muster_mysql_server_state_observer>() - 64usize];
    ["Alignment of muster_mysql_server_state_observer"]
        [::core::mem::align_of::<muster_mysql_server_state_observer>() - 8usize];
    ["Offset of field: muster_mysql_server_state_observer::length"]
        [::core::mem::offset_of!(muster_mysql_server_state_observer, length) - 0usize];
    ["Offset of field: muster_mysql_server_state_observer::before_handle_connection"][::core::mem::offset_of!(
        muster_mysql_server_state_observer,
        before_handle_connection
    ) - 8usize];
    ["Offset of field: muster_mysql_server_state_observer::before_recovery"]
        [::core::mem::offset_of!(muster_mysql_server_state_observer, before_recovery) - 16usize];
    ["Offset of field: muster_mysql_server_state_observer::after_engine_recovery"][::core::mem::offset_of!(
        muster_mysql_server_state_observer,
        after_engine_recovery
    ) - 24usize];
    ["Offset of field: muster_mysql_server_state_observer::after_recovery"]
        [::core::mem::offset_of!(muster_mysql_server_state_observer, after_recovery) - 32usize];
    ["Offset of field: muster_mysql_server_state_observer::before_server_shutdown"][::core::mem::offset_of!(
        muster_mysql_server_state_observer,
        before_server_shutdown
    ) - 40usize];
    ["Offset of field: muster_mysql_server_state_observer::after_server_shutdown"][::core::mem::offset_of!(
        muster_mysql_server_state_observer,
        after_server_shutdown
    ) - 48usize];
    ["Offset of field: muster_mysql_server_state_observer::after_dd_upgrade"]
        [::core::mem::offset_of!(muster_mysql_server_state_observer, after_dd_upgrade) - 56usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_maria_field {
    pub name: *const ::core::ffi::c_char,
    pub texts: [*const ::core::ffi::c_char; 6usize],
    pub lengths: [::core::ffi::c_ulong; 2usize],
    pub numbers: [::core::ffi::c_uint; 10usize],
    pub type_: ::core::ffi::c_int,
    pub extension: *mut ::core::ffi::c_void,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_maria_field"][::core::mem::size_of::<muster_maria_field>() - 128usize];
    ["Alignment of muster_maria_field"][::core::mem::align_of::<muster_maria_field>() - 8usize];
    ["Offset of field: muster_maria_field::name"]
        [::core::mem::offset_of!(muster_maria_field, name) - 0usize];
    ["Offset of field: muster_maria_field::texts"]
        [::core::mem::offset_of!(muster_maria_field, texts) - 8usize];
    ["Offset of field: muster_maria_field::lengths"]
        [::core::mem::offset_of!(muster_maria_field, lengths) - 56usize];
    ["Offset of field: muster_maria_field::numbers"]
        [::core::mem::offset_of!(muster_maria_field, numbers) - 72usize];
    ["Offset of field: muster_maria_field::type_"]
        [::core::mem::offset_of!(muster_maria_field, type_) - 112usize];
    ["Offset of field: muster_maria_field::extension"]
        [::core::mem::offset_of!(muster_maria_field, extension) - 120usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct muster_maria_sql_service {
    pub init: ::core::option::Option<
        unsafe extern "C" fn(connection: *mut ::core::ffi::c_void) -> *mut ::core::ffi::c_void,
    >,
    pub real_connect_local: ::core::option::Option<
        unsafe extern "C" fn(
            connection: *mut ::core::ffi::c_void,
            host: *const ::core::ffi::c_char,
            user: *const ::core::ffi::c_char,
            database: *const ::core::ffi::c_char,
            flags: ::core::ffi::c_ulong,
        ) -> *mut ::core::ffi::c_void,
    >,
    pub real_connect: *mut ::core::ffi::c_void,
    pub error_number: ::core::option::Option<
        unsafe extern "C" fn(connection: *mut ::core::ffi::c_void) -> ::core::ffi::c_uint,
    >,
    pub error: ::core::option::Option<
        unsafe extern "C" fn(connection: *mut ::core::ffi::c_void) -> *const ::core::ffi::c_char,
    >,
    pub real_query: ::core::option::Option<
        unsafe extern "C" fn(
            connection: *mut ::core::ffi::c_void,
            query: *const ::core::ffi::c_char,
            length: ::core::ffi::c_ulong,
        ) -> ::core::ffi::c_int,
    >,
    pub affected_rows: *mut ::core::ffi::c_void,
    pub num_rows: *mut ::core::ffi::c_void,
    pub store_result: ::core::option::Option<
        unsafe extern "C" fn(connection: *mut ::core::ffi::c_void) -> *mut ::core::ffi::c_void,
    >,
    pub free_result: ::core::option::Option<unsafe extern "C" fn(result: *mut ::core::ffi::c_void)>,
    pub fetch_row: ::core::option::Option<
        unsafe extern "C" fn(result: *mut ::core::ffi::c_void) -> *mut *const ::core::ffi::c_char,
    >,
    pub close: ::core::option::Option<unsafe extern "C" fn(connection: *mut ::core::ffi::c_void)>,
    pub options: *mut ::core::ffi::c_void,
    pub fetch_lengths: ::core::option::Option<
        unsafe extern "C" fn(result: *mut ::core::ffi::c_void) -> *mut ::core::ffi::c_ulong,
    >,
    pub set_character_set: *mut ::core::ffi::c_void,
    pub num_fields: ::core::option::Option<
        unsafe extern "C" fn(result: *mut ::core::ffi::c_void) -> ::core::ffi::c_uint,
    >,
    pub select_db: *mut ::core::ffi::c_void,
    pub use_result: *mut ::core::ffi::c_void,
    pub fetch_fields: ::core::option::Option<
        unsafe extern "C" fn(result: *mut ::core::ffi::c_void) -> *const muster_maria_field,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of muster_maria_sql_service"]
        [::core::mem::size_of::<muster_maria_sql_service>() - 152usize];
    ["Alignment of muster_maria_sql_service"]
        [::core::mem::align_of::<muster_maria_sql_service>() - 8usize];
    ["Offset of field: muster_maria_sql_service::init"]
        [::core::mem::offset_of!(muster_maria_sql_service, init) - 0usize];
    ["Offset of field: muster_maria_sql_service::real_connect_local"]
        [::core::mem::offset_of!(muster_maria_sql_service, real_connect_local) - 8usize];
    ["Offset of field: muster_maria_sql_service::real_connect"]
        [::core::mem::offset_of!(muster_maria_sql_service, real_connect) - 16usize];
    ["Offset of field: muster_maria_sql_service::error_number"]
        [::core::mem::offset_of!(muster_maria_sql_service, error_number) - 24usize];
    ["Offset of field: muster_maria_sql_service::error"]
        [::core::mem::offset_of!(muster_maria_sql_service, error) - 32usize];
    ["Offset of field: muster_maria_sql_service::real_query"]
        [::core::mem::offset_of!(muster_maria_sql_service, real_query) - 40usize];
    ["Offset of field: muster_maria_sql_service::affected_rows"]
        [::core::mem::offset_of!(muster_maria_sql_service, affected_rows) - 48usize];
    ["Offset of field: muster_maria_sql_service::num_rows"]
        [::core::mem::offset_of!(muster_maria_sql_service, num_rows) - 56usize];
    ["Offset of field: muster_maria_sql_service::store_result"]
        [::core::mem::offset_of!(muster_maria_sql_service, store_result) - 64usize];
    ["Offset of field: muster_maria_sql_service::free_result"]
        [::core::mem::offset_of!(muster_maria_sql_service, free_result) - 72usize];
    ["Offset of field: muster_maria_sql_service::fetch_row"]
        [::core::mem::offset_of!(muster_maria_sql_service, fetch_row) - 80usize];
    ["Offset of field: muster_maria_sql_service::close"]
        [::core::mem::offset_of!(muster_maria_sql_service, close) - 88usize];
    ["Offset of field: muster_maria_sql_service::options"]
        [::core::mem::offset_of!(muster_maria_sql_service, options) - 96usize];
    ["Offset of field: muster_maria_sql_service::fetch_lengths"]
        [::core::mem::offset_of!(muster_maria_sql_service, fetch_lengths) - 104usize];
    ["Offset of field: muster_maria_sql_service::set_character_set"]
        [::core::mem::offset_of!(muster_maria_sql_service, set_character_set) - 112usize];
    ["Offset of field: muster_maria_sql_service::num_fields"]
        [::core::mem::offset_of!(muster_maria_sql_service, num_fields) - 120usize];
    ["Offset of field: muster_maria_sql_service::select_db"]
        [::core::mem::offset_of!(muster_maria_sql_service, select_db) - 128usize];
    ["Offset of field: muster_maria_sql_service::use_result"]
        [::core::mem::offset_of!(muster_maria_sql_service, use_result) - 136usize];
    ["Offset of field: muster_maria_sql_service::fetch_fields"]
        [::core::mem::offset_of!(muster_maria_sql_service, fetch_fields) - 144usize];
};
